"""kubectl, where it is installed: it knows the cluster and has the credentials."""

import shutil
import subprocess
from collections.abc import Mapping

from toolkit.errors import DeploymentRefused, NeedNotMet

_ARGUMENTS = ("apply", "--server-side", "-f", "-")


def apply(documents: str, environment: Mapping[str, str]) -> str:
    """Hand YAML to `kubectl apply --server-side`, in the current context; what it says.

    Raises NeedNotMet without kubectl, and DeploymentRefused with its words when it fails.
    """
    program = shutil.which("kubectl", path=environment.get("PATH"))
    if program is None:
        raise NeedNotMet(
            "there is no kubectl on PATH to apply it",
            remedy="Install it, or leave --apply out: https://kubernetes.io/docs/tasks/tools/",
        )
    done = subprocess.run(
        (program, *_ARGUMENTS),
        input=documents,
        capture_output=True,
        text=True,
        env=dict(environment),
        check=False,
    )
    if done.returncode:
        raise DeploymentRefused(
            f"kubectl apply failed with {done.returncode}: {done.stderr.strip() or 'it said nothing'}",
            remedy="See which cluster it asks: kubectl config current-context",
        )
    return done.stdout
