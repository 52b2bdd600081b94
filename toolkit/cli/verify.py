"""`toolkit verify`."""

import json
from pathlib import Path

import click

from toolkit.catalog.model import Consumer
from toolkit.cli.settings import Settings, catalog_option, from_environment, json_option
from toolkit.errors import ExitCode, UsageError
from toolkit.oci import Platform, Reference
from toolkit.verify import ImageSource, summary_lines, verify_reference


@click.command()
@click.argument("images", nargs=-1, metavar="[REFERENCE|LAYOUT]...")
@click.option(
    "--platform", default="", metavar="OS/ARCH[/VARIANT]", help="Only this platform; it must be there."
)
@click.option(
    "--consumer",
    type=click.Choice([each.value for each in Consumer]),
    default=Consumer.GENERIC.value,
    show_default=True,
    help="Whose contract the image must keep, besides being what its label says.",
)
@click.option("--released", is_flag=True, help="Every image of dist/release.json, for its own consumer.")
@catalog_option
@json_option
def verify(
    images: tuple[str, ...], platform: str, consumer: str, released: bool, catalog: str, as_json: bool
) -> None:
    """Prove what images are without starting them: label, ELF files, layers, contract.

    An IMAGE is a reference in any registry, or the directory (or tar) of an OCI layout. Of a list,
    every platform is read. Exit 4 when one is not what it says.
    """
    from toolkit.cli.records import get_record
    from toolkit.contracts import contract_of

    settings = from_environment(catalog)
    wanted = [(image, Consumer(consumer), platform) for image in images]
    if released:
        wanted += [
            (
                f"{row.registry}/{row.repository}@{row.digest}",
                Consumer(row.consumer),
                f"linux/{row.architecture}",
            )
            for row in get_record(settings, "").images
        ]
    if not wanted:
        raise UsageError("nothing to verify was named", remedy="Try: toolkit verify localhost:5000/NAME:TAG")
    results = []
    for image, whose, what in wanted:
        source, selector = _open(settings, image)
        found = verify_reference(
            source, selector, platform=Platform.parse(what) if what else None, contract=contract_of(whose)
        )
        results += [(image, each) for each in found]
        if not as_json:
            click.echo("\n".join([image, *(f"  {line}" for each in found for line in summary_lines(each))]))
    if as_json:
        click.echo(json.dumps([{"image": image, **each.to_json()} for image, each in results], indent=2))
    if not all(each.ok for _, each in results):
        raise SystemExit(ExitCode.VERIFICATION_FAILED)


def _open(settings: Settings, image: str) -> tuple[ImageSource, str]:
    """What exists on disk or is spelled as a path is a layout, everything else a reference."""
    if image.startswith(("/", ".")) or Path(image).exists():
        from toolkit.adapters.layout import OciLayout

        return OciLayout.open(Path(image)), ""
    from toolkit.cli.connections import images_of, registry_at

    reference = Reference.parse(image)
    return images_of(registry_at(settings, reference.registry), reference.repository), reference.selector
