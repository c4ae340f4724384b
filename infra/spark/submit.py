"""Give a job to a cluster: `spark-submit` with the properties that the cluster and the store need, each with its reason
in cluster.conf, kubernetes.conf and stores/.

    python infra/spark/submit.py --master spark://10.0.0.1:7077 --driver-host 10.0.0.9 --secret-file … \\
        --store s3 -- jobs/extract.py --input s3://bucket/corpus --output s3://bucket/kg --pool pool.yaml
    python infra/spark/submit.py --master k8s://https://10.0.0.1:6443 --image registry.example/triplelake:0.1.0 \\
        --store s3 -- local:///opt/triplelake/jobs/extract.py --input …

On a stand-alone cluster the executors get triplelake from the archive of `make dist`; on Kubernetes from the image of
infra/spark/Dockerfile. What stands after `--` is given to spark-submit as it is: first its own options, then the job.
"""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from spark_common import HERE, Failed, Parser, cluster_secret, ended, read_properties, spark_binary

DIST = HERE.parents[1] / "dist"
STORES = sorted(file.stem for file in (HERE / "stores").glob("*.conf"))
_IN_ARCHIVE = "triplelake_env"


def main(argv: list[str] | None = None) -> int:
    return ended(lambda: _run(_parser().parse_args(argv)))


def _parser() -> Parser:
    parser = Parser(
        description="Give a job to a stand-alone cluster or to Kubernetes.",
        usage="submit.py --master URL [options] -- [options of spark-submit] JOB [its options]",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--master", required=True, metavar="URL", help="spark://HOST:PORT, or k8s://https://HOST:PORT")
    add("--store", choices=STORES, default="files", help="where the tables lie (default: %(default)s)")
    add(
        "--archive",
        type=Path,
        metavar="FILE",
        help="of `make dist`, for a stand-alone cluster (default: that in dist/)",
    )
    add("--python", default="python3", metavar="PATH", help="Python of the executors (default: %(default)s)")
    add("--driver-host", metavar="ADDRESS", help="address of this host at which executors reach the driver")
    add("--secret-file", type=Path, metavar="FILE", help="the cluster's secret, on one line")
    add("--image", metavar="NAME", help="image of infra/spark/Dockerfile, for Kubernetes")
    add("--dry-run", action="store_true", help="say what would be run, and stop")
    add("job", nargs="+", metavar="JOB", help=argparse.SUPPRESS)
    return parser


def _run(options: argparse.Namespace) -> int:
    properties = read_properties(HERE / "cluster.conf") | read_properties(HERE / "stores" / f"{options.store}.conf")
    if options.master.startswith("k8s://"):
        properties |= _on_kubernetes(options)
    elif options.master.startswith("spark://"):
        properties |= _stand_alone(options)
    else:
        raise Failed(2, options.master, "is neither spark://HOST:PORT nor k8s://https://HOST:PORT", "Check --master.")
    submit = spark_binary("spark-submit")
    if options.dry_run:
        shown = {name: "…" if name.endswith(".secret") else value for name, value in properties.items()}
        chosen = [word for name, value in shown.items() for word in ("--conf", f"{name}={value}")]
        print("would run:", shlex.join([str(submit), *chosen, *options.job]))
        return 0
    return _submit(submit, properties, options.job)


def _stand_alone(options: argparse.Namespace) -> dict[str, str]:
    archive = options.archive or _newest_archive()
    if not archive.is_file():
        raise Failed(3, str(archive), "is not there", "make dist")
    properties = {
        "spark.master": options.master,
        "spark.archives": f"{archive.absolute()}#{_IN_ARCHIVE}",
        # Executors unpack the archive beside themselves, and their Python looks there.
        "spark.executorEnv.PYTHONPATH": _IN_ARCHIVE,
        "spark.pyspark.python": options.python,
        "spark.pyspark.driver.python": sys.executable,
        **cluster_secret(options.secret_file, required=False),
    }
    if options.driver_host:
        # Both Spark's own traffic and the desk where tasks get their part of the pool are at this address.
        properties |= {"spark.driver.host": options.driver_host, "spark.driver.bindAddress": options.driver_host}
    return properties


def _newest_archive() -> Path:
    tag = f"py{sys.version_info.major}{sys.version_info.minor}"
    found = sorted(DIST.glob(f"triplelake-*-{tag}-*.tar.gz"), key=lambda file: file.stat().st_mtime)
    if not found:
        raise Failed(3, str(DIST), f"holds no archive for this Python ({tag})", "make dist")
    return found[-1]


def _on_kubernetes(options: argparse.Namespace) -> dict[str, str]:
    if not options.image:
        raise Failed(2, "--image", "is missing: pods run what an image holds", "Build it from infra/spark/Dockerfile.")
    return {
        "spark.master": options.master,
        "spark.submit.deployMode": "cluster",
        "spark.kubernetes.container.image": options.image,
        **read_properties(HERE / "kubernetes.conf"),
    }


def _submit(submit: Path, properties: dict[str, str], job: Sequence[str]) -> int:
    with tempfile.TemporaryDirectory(prefix="triplelake-submit-") as folder:
        # In a file that only this user reads: a command line, which the secret would stand in, is everybody's.
        file = Path(folder) / "spark.conf"
        file.touch(mode=0o600)
        file.write_text("".join(f"{name} {value}\n" for name, value in properties.items()), encoding="utf-8")
        process = subprocess.Popen([str(submit), "--properties-file", str(file), *job], env=_environment())
        # A terminal sends Ctrl-C to both; a scheduler ends this process alone.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        return process.wait()


def _environment() -> dict[str, str]:
    """Without what would choose another Python than the properties do."""
    return {
        name: value for name, value in os.environ.items() if name not in ("PYSPARK_PYTHON", "PYSPARK_DRIVER_PYTHON")
    }


if __name__ == "__main__":
    sys.exit(main())
