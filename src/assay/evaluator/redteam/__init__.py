"""The red-team suite: executable cheats, each with an honest twin, that `assay audit` runs against the judge."""
