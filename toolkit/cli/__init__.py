"""The front: commands, and the one place where errors become text and exit codes.

Each command lives in a module of its own that is imported only when it is called, so that
`toolkit --help` and a release with nothing to do never pay for an engine client.
"""

import gc
import os
import signal
import sys
import types

import click

from toolkit import __version__
from toolkit.cli.lazy import LazyGroup
from toolkit.errors import CatalogInvalid, ExitCode, ToolkitError

# Command → module and one-line help; `toolkit --help` imports none of them.
COMMANDS = {
    "setup": ("machine", "Bring this machine what releases need: engine, Buildx, emulation, registry."),
    "doctor": ("machine", "Show what this machine has and lacks, with the line that mends each lack."),
    "uninstall": ("machine", "Take back what set-up made on this machine, and nothing else."),
    "bases": ("bases", "Make the base images of the catalog that are bootstrapped."),
    "lock": ("lock", "Resolve the catalog's wishes to exact versions and hashes: images.lock."),
    "plan": ("plan", "Show what a release would do and why; change nothing."),
    "preflight": ("preflight", "Show what would stop a release, before its first build; change nothing."),
    "render": ("plan", "Write the Dockerfiles and build contexts that would be built."),
    "schema": ("schema", "Print a JSON Schema of images.toml, for editors."),
    "build": ("release", "Build and verify images into OCI layouts; publish nothing."),
    "release": ("release", "Build, verify and publish what is not there yet; write record and tables."),
    "stage": ("stage", "Build, verify and push under build tags that nobody deploys; move no public tag."),
    "publish": ("publish", "Put tags and lists around units that were staged, anywhere; no engine is used."),
    "builder": ("builder", "The machines that build: tell Buildx of them, list them, take them back."),
    "codebuild": ("codebuild", "Release on AWS CodeBuild: batches with a build for each image."),
    "ecr": ("ecr", "Make the catalog's Amazon ECR what it should be; print the IAM policies it takes."),
    "scan": ("scan", "Sum up what Amazon ECR's scans found in a release, and fail on what is too severe."),
    "verify": ("verify", "Prove what an image is: label, ELF files, contract. Any registry, any layout."),
    "history": ("history", "List the releases of a registry: what each changed, and which one stands."),
    "rollback": ("rollback", "Put the lists of an earlier release under their tags again."),
    "tables": ("tables", "Print the URI tables of a release again."),
    "diff": ("diff", "Print what changed between two releases: images, sizes, packages."),
    "parity": ("diff", "Print what differs between the amd64 and the arm64 images of a release."),
    "uri": ("uri", "Print the URI of the image that runs on an instance type."),
    "deploy": (
        "deploy",
        "Bring an image to SageMaker, or measure it there; without --apply only say what would be sent.",
    ),
    "predict": (
        "predict",
        "Ask a model and print its answer: an HTTP service, TensorFlow Serving, SageMaker.",
    ),
    "instances": ("instances", "List instance types: architecture, accelerator, vCPU, memory."),
}


@click.command(
    cls=LazyGroup,
    table=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 1 need not met, 2 usage or catalog fault, 3 nothing selected, "
    "4 verification failed, 5 build failed, 6 registry trouble, 7 conflict, 8 deployment refused or failed, "
    "130 interrupted.",
)
@click.version_option(__version__, prog_name="toolkit")
def cli() -> None:
    """From images.toml to verified multi-architecture images in a registry, and their URIs."""


def main() -> None:
    """Run one command; every failure is a message and a documented exit code, never a traceback."""
    # A pipeline that stops a job sends SIGTERM: end as for Ctrl-C, with nothing half-published.
    signal.signal(signal.SIGTERM, _interrupt)
    # Ten thousand units are 300,000 values without cycles: looking for some would be in vain.
    gc.set_threshold(500_000)
    stdout = sys.stdout
    try:
        cli.main(prog_name="toolkit", standalone_mode=False)
        code = ExitCode.DONE
    except CatalogInvalid as error:
        # Each fault begins its line, as editors and CI read FILE:LINE: MESSAGE.
        count = f"{len(error.faults)} faults" if len(error.faults) > 1 else "1 fault"
        click.echo(f"{error}\nerror: {count} in the catalog; nothing was touched", err=True)
        code = error.exit_code
    except ToolkitError as error:
        click.echo(f"error: {error}", err=True)
        code = error.exit_code
    except click.UsageError as error:
        error.show()
        code = ExitCode.USAGE
    except click.ClickException as error:
        error.show()
        code = ExitCode.USAGE
    except (KeyboardInterrupt, click.Abort):
        _end_children()
        click.echo("interrupted: lists that were not complete have not been touched", err=True)
        code = ExitCode.INTERRUPTED
    except SystemExit:
        # When the reader of stdout has gone (`toolkit plan | head`), which is no failure, click wraps
        # stdout and exits with 1.
        if sys.stdout is stdout:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), stdout.fileno())
        code = ExitCode.DONE
    except OSError as error:
        click.echo(f"error: {_explained(error)}", err=True)
        code = ExitCode.NEED_NOT_MET
    except Exception as error:  # a fault of the toolkit itself
        click.echo(f"internal error: {type(error).__name__}: {error}\n  {_kept_traceback()}", err=True)
        code = ExitCode.NEED_NOT_MET
    gc.freeze()  # else all that is left would be looked through twice more
    for stream in (sys.stdout, sys.stderr):
        if stream:  # None where the caller closed it
            stream.flush()
    # Threads of an interrupted run may still wait for a child: do not wait for them.
    os._exit(code) if code is ExitCode.INTERRUPTED else sys.exit(code)


def _interrupt(_number: int, _frame: types.FrameType | None) -> None:
    raise KeyboardInterrupt


def _kept_traceback() -> str:
    import tempfile
    import traceback

    with tempfile.NamedTemporaryFile("w", prefix="toolkit-traceback-", suffix=".txt", delete=False) as file:
        traceback.print_exc(file=file)
    return f"This is a fault of the toolkit: please report it with {file.name}"


# How many seconds docker clients get to tell the engine that their builds are over.
_LAST_WORDS = 2.0


def _end_children() -> None:
    from toolkit.adapters.children import await_children
    from toolkit.adapters.private import remove_private_files

    await_children(_LAST_WORDS)
    remove_private_files()


def _explained(error: OSError) -> str:
    import errno

    remedies = {
        errno.ENOSPC: "The disk is full. Free some: `make clean`, `docker buildx prune`.",
        errno.EACCES: "Run it as a user who may, or give that path to this user.",
        errno.EROFS: "The disk is read-only: work in a copy of the project on one that is not.",
    }
    remedy = remedies.get(
        error.errno or 0, "Check the path; `toolkit doctor` shows the state of this machine."
    )
    what = error.strerror or str(error)
    return f"{what}: {error.filename}\n  {remedy}" if error.filename else f"{what}\n  {remedy}"
