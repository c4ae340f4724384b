"""What is done on a host, as pyinfra's operations: install, start, stop, remove. Each may be done again.

An operation is named alike on all hosts: pyinfra keeps one list of names for what it does on several at a time, so a
name that holds a port or a folder of one host would be told of every other.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from io import StringIO
from pathlib import Path

from pyinfra.api.command import FileUploadCommand, PyinfraCommand, StringCommand
from pyinfra.api.operation import operation
from pyinfra.context import host
from pyinfra.facts.files import Directory
from pyinfra.facts.files import File as FileFact
from pyinfra.facts.server import Users
from pyinfra.operations import files, server, systemd

from deploy.artifacts import Artifact, Payload
from deploy.artifacts import File as ArtifactFile
from deploy.hosts import INCOMING
from deploy.inventory import HostEntry, Inventory, Server
from deploy.settings import SCRIPTS, TOOLS, UNITS, unit_text

UNIT_FOLDER = "/etc/systemd/system"
_USER_COMMENT = "triplelake llama-server"
_OWN_FOLDERS = ("builds", "models", "libexec", "etc", "run", "log", INCOMING)


def install(inventory: Inventory, payload: Payload, name: str) -> None:
    """All that servers need, next to what those that run are using; nothing of theirs changes."""
    entry = inventory.hosts[name]
    prefix, group = entry.prefix, entry.user
    server.group(name="make the group of the servers", group=group, system=True)
    server.user(
        name="make the user of the servers",
        user=entry.user,
        group=group,
        system=True,
        home=prefix,
        ensure_home=False,
        shell="/usr/sbin/nologin",
        comment=_USER_COMMENT,
    )
    files.directory(name="make the prefix", path=prefix, mode="755")
    for folder in ("builds", "models", "libexec", "etc"):
        files.directory(name=f"make {folder}", path=f"{prefix}/{folder}", group=group, mode="750")
    for folder in ("run", "log"):
        files.directory(name=f"make {folder}", path=f"{prefix}/{folder}", mode="755")
    # Of the SSH user, who copies without sudo: gigabytes are then written once, and keys never lie in /tmp.
    files.directory(name=f"make {INCOMING}", path=f"{prefix}/{INCOMING}", user=entry.ssh_user, mode="700")
    for artifact in payload.artifacts:
        _store(artifact, prefix, group)
    for script in (*SCRIPTS, *TOOLS):
        place = f"{prefix}/libexec/{script.name}"
        files.put(name=f"copy {script.name}", src=str(script), dest=place, group=group, mode="750")
    _put_secrets(inventory, entry)
    if entry.supervisor == "systemd":
        for unit in UNITS:
            text = StringIO(unit_text(unit, entry))
            files.put(name=f"write {unit.name}", src=text, dest=f"{UNIT_FOLDER}/{unit.name}", mode="644")


def _put_secrets(inventory: Inventory, entry: HostEntry) -> None:
    secrets: list[tuple[Path | None, str]] = [(inventory.api_key_file, "llama.key")]
    if inventory.tls:
        secrets += [(inventory.tls.certificate, "tls.pem"), (inventory.tls.key, "tls.key")]
    for source, place in secrets:
        if source:
            files.put(
                name=f"copy {place}",
                src=str(source),
                dest=f"{entry.prefix}/etc/{place}",
                user="root",
                group=entry.user,
                mode="640",
            )


def _store(artifact: Artifact, prefix: str, group: str) -> None:
    for each in artifact.files:
        copy_once(
            name=f"copy {each.place} of {artifact.folder}",
            file=each,
            place=f"{prefix}/{artifact.folder}/{each.place}",
            incoming=f"{prefix}/{INCOMING}/{each.sha256}",
            group=group,
        )


@operation()
def copy_once(file: ArtifactFile, place: str, incoming: str, group: str) -> Generator[PyinfraCommand, None, None]:
    """A large file that is not there yet: copied beside, checked by its hash, moved. pyinfra's own `files.put` is not
    meant for large files, and would read those that are there.
    """
    there = host.get_fact(FileFact, path=place)
    if there and there["size"] == file.size:
        host.noop(f"{place} is there")
        return
    yield FileUploadCommand(str(file.source), incoming, _sudo=False)
    wrong = "echo 'The copy has another SHA-256 than the file here: run the same command again.' >&2; exit 1"
    yield StringCommand(
        f"echo '{file.sha256}  {incoming}' | sha256sum --check --status || {{ rm -f {incoming}; {wrong}; }}"
    )
    folder = place.rpartition("/")[0]
    yield StringCommand(f"install -d -g {group} -m 750 {folder.rpartition('/')[0]} {folder}")
    yield StringCommand(f"chown root:{group} {incoming} && chmod {'750' if file.executable else '640'} {incoming}")
    yield StringCommand(f"mv {incoming} {place}")


def replace(inventory: Inventory, one: Server, settings: str) -> None:
    """Stop a server, if it runs, and start it with these settings."""
    entry = inventory.hosts[one.host]
    stop(entry, [one])
    files.put(
        name=f"write the settings of server {one.index}",
        src=StringIO(settings),
        dest=f"{entry.prefix}/etc/llama-server@{one.port}.env",
        group=entry.user,
        mode="640",
    )
    if entry.supervisor == "process":
        server.shell(name=f"start server {one.index}", commands=[_process(entry, "start", one)])
        return
    for kind in ("server", "watchdog"):
        systemd.service(
            name=f"start {kind} {one.index}",
            service=f"llama-{kind}@{one.port}.service",
            running=True,
            enabled=True,
            daemon_reload=True,
        )


def stop(entry: HostEntry, servers: Sequence[Server]) -> None:
    """Stop servers: TERM, after 10 seconds KILL."""
    for one in servers:
        if entry.supervisor == "process":
            command = _process(entry, "stop", one)
            # A host where nothing was deployed has no such script, and nothing to stop.
            script = command.partition(" ")[0]
            server.shell(name=f"stop server {one.index}", commands=[f"test ! -x {script} || {command}"])
            continue
        # The watchdog first, so that it starts nothing again.
        for kind in ("watchdog", "server"):
            systemd.service(
                name=f"stop {kind} {one.index}",
                service=f"llama-{kind}@{one.port}.service",
                running=False,
                enabled=False,
            )


def remove(inventory: Inventory, name: str, servers: Sequence[Server]) -> None:
    """Stop the servers and delete all that `install` has made; what others have put below the prefix stays."""
    entry = inventory.hosts[name]
    stop(entry, servers)
    if entry.supervisor == "systemd":
        for unit in UNITS:
            files.file(name=f"delete {unit.name}", path=f"{UNIT_FOLDER}/{unit.name}", present=False)
        # systemd remembers a unit that has failed even when its file is gone.
        units = " ".join(f"llama-server@{one.port} llama-watchdog@{one.port}" for one in servers)
        forget = f"systemctl reset-failed {units} 2>/dev/null || true"
        server.shell(name="let systemd forget them", commands=["systemctl daemon-reload", forget])
    for folder in _OWN_FOLDERS:
        files.directory(name=f"delete {folder}", path=f"{entry.prefix}/{folder}", present=False)
    if host.get_fact(Directory, path=entry.prefix):
        command = f"rmdir --ignore-fail-on-non-empty {entry.prefix}"
        server.shell(name="delete the prefix, if it is empty", commands=[command])
    user = host.get_fact(Users).get(entry.user)
    if user and user["comment"] == _USER_COMMENT:
        server.user(name="delete the user of the servers", user=entry.user, present=False)
        server.group(name="delete the group of the servers", group=entry.user, present=False)


def forget_unused(entry: HostEntry) -> None:
    """Delete builds and models that no settings file names any more."""
    unused = (
        f"cd {entry.prefix} && for folder in builds/* models/*; do "
        'grep -qs -F -- "/$folder/" etc/llama-server@*.env || rm -rf -- "$folder"; done'
    )
    server.shell(name="delete builds and models that no server uses", commands=[unused])


def _process(entry: HostEntry, action: str, one: Server) -> str:
    return f"{entry.prefix}/libexec/process.sh {action} {one.port} --prefix {entry.prefix}"
