"""`assay models`."""


def models_command(*, json: bool = False) -> None:
    """List the models that are known by name, and which of them are on this machine.

    Parameters
    ----------
    json
        One JSON document on stdout.

    """
    from assay.cli.console import print_json, print_table
    from assay.runs.machine import known_models

    models = known_models()
    if json:
        print_json([model.model_dump(mode="json") for model in models])
        return
    rows = [(m.name, f"{m.bytes / 1e6:.0f} MB", m.license, m.at_hand or "to be fetched", m.description) for m in models]
    print_table("Models", ("name", "size", "licence", "here", "what"), rows, right=("size",))
