"""`toolkit deploy eks`."""

from pathlib import Path
from typing import Any

import click

from toolkit.cli.deploy import assignment, image_choice, image_options
from toolkit.cli.settings import from_environment
from toolkit.deployers.checks import Outcome, ensure_passed
from toolkit.deployers.eks import Resources, Workload, manifests
from toolkit.deployers.eks_checks import checks, notes
from toolkit.deployers.eks_cluster import cluster_config, cluster_remarks, device_plugin, needs_plugin
from toolkit.deployers.eks_yaml import kustomize, to_yaml
from toolkit.errors import UsageError
from toolkit.hardware import get_instance_type
from toolkit.resolve import ImageConsumer


@click.command(
    epilog="Example: toolkit deploy eks resnet --framework tensorflow --version 1.15.5 --region us-east-1 "
    "--instance-type inf1.2xlarge --model-name resnet50_neuron --model-data s3://models/resnet50_neuron/ "
    "| kubectl apply --server-side -f -"
)
@click.argument("name")
@image_options
@click.option("--instance-type", required=True, metavar="TYPE", help="Of the nodes. Example: inf1.2xlarge")
@click.option("--model-name", default="model", show_default=True, help="By which clients ask for it.")
@click.option(
    "--model-data",
    default="",
    metavar="URL",
    help="s3://BUCKET/KEY.tar.gz for one's own images, s3://BUCKET/PREFIX for TensorFlow Serving, https:// "
    "for TorchServe.",
)
@click.option("--replicas", type=click.IntRange(min=1), default=2, show_default=True, help="Pods.")
@click.option("--namespace", default="", help="Default: that of the current context. Example: serving")
@click.option(
    "--devices",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Neuron devices or GPUs of each pod.",
)
@click.option("--cpu", default="1", show_default=True, help="That a pod is given for sure. Example: 500m")
@click.option("--memory", default="1Gi", show_default=True, help="The same of memory. Example: 2Gi")
@click.option("--cpu-limit", default="4", show_default=True, help="That a pod may use. Example: 2")
@click.option("--memory-limit", default="4Gi", show_default=True, help="The same of memory. Example: 8Gi")
@click.option("--service-account", default="", metavar="NAME", help="With a role that may read the model.")
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=8080,
    show_default=True,
    help="Of an --image that nothing here knows.",
)
@click.option(
    "--env", multiple=True, metavar="NAME=VALUE", help="Further variables. Example: --env OMP_NUM_THREADS=4"
)
@click.option(
    "--with-cluster",
    is_flag=True,
    help="Before it eksctl's ClusterConfig for the nodes and, for Inferentia, the device plugin.",
)
@click.option(
    "--kustomize", "is_kustomized", is_flag=True, help="A base and an images transformer; needs --out."
)
@click.option(
    "--out", default="", metavar="DIRECTORY", help="Write files there. Default: one stream on stdout."
)
@click.option(
    "--apply", "is_applied", is_flag=True, help="Run kubectl apply --server-side. Default: print the YAML."
)
def eks(
    name: str,
    instance_type: str,
    model_name: str,
    model_data: str,
    replicas: int,
    namespace: str,
    devices: int,
    cpu: str,
    memory: str,
    cpu_limit: str,
    memory_limit: str,
    service_account: str,
    port: int,
    env: tuple[str, ...],
    with_cluster: bool,
    is_kustomized: bool,
    out: str,
    is_applied: bool,
    catalog: str,
    **image: Any,
) -> None:
    """Print the Deployment and Service NAME for Kubernetes, for nodes of the instance type.

    Neither cluster nor credentials are asked for anything without --apply.
    """
    settings = from_environment(catalog)
    choice = image_choice(settings, ImageConsumer.EKS, **image)
    machine = get_instance_type(instance_type)
    workload = Workload(
        name=name,
        image=choice.for_type(instance_type),
        machine=machine,
        region=choice.region,
        replicas=replicas,
        namespace=namespace,
        model_name=model_name,
        model_data=model_data,
        devices=devices,
        resources=Resources(cpu=cpu, memory=memory, cpu_limit=cpu_limit, memory_limit=memory_limit),
        service_account=service_account,
        port=port,
        environment=dict(assignment(text) for text in env),
    )
    _check_options(out=out, is_kustomized=is_kustomized, is_applied=is_applied)
    found = checks(workload, instead=choice.instead_of)
    ensure_passed(found)
    for check in found:
        if check.outcome is Outcome.NOT_CHECKED:
            click.echo(f"not checked: {check.detail}", err=True)
    for note in notes(workload):
        click.echo(f"note: {note}", err=True)
    applied = (*(device_plugin() if with_cluster and needs_plugin(workload) else ()), *manifests(workload))
    if is_applied:
        from toolkit.adapters.kubectl import apply

        click.echo(apply(to_yaml(applied), settings.environment), nl=False)
        return
    files = kustomize(workload) if is_kustomized else {f"{name}.yaml": to_yaml(applied, notes(workload))}
    if with_cluster:
        files = {"cluster.yaml": to_yaml((cluster_config(workload),), cluster_remarks(workload)), **files}
    _write(files, out)


def _check_options(*, out: str, is_kustomized: bool, is_applied: bool) -> None:
    if is_kustomized and not out:
        raise UsageError("--kustomize makes several files", remedy="Say where: --out DIRECTORY")
    if is_applied and out:
        raise UsageError("--apply writes no files", remedy="Leave --out out, or apply them: kubectl apply -k")


def _write(files: dict[str, str], out: str) -> None:
    if not out:
        click.echo("".join(files.values()), nl=False)
        return
    for path, text in files.items():
        target = Path(out) / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        click.echo(str(target), err=True)
