"""The same image for the same content: written again without what only the moment of its build put in.

The classic builder has no SOURCE_DATE_EPOCH. Of every layer above the base: entries in order, times not after
`at`, no names of owners; of the configuration: no ids and times of the build. Layers of the base stay.
"""

import hashlib
import io
import json
import subprocess
import tarfile
import tempfile
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

FORGOTTEN = ("container", "container_config", "docker_version")


def normalise(name, layers_below, at):
    """Put the image `name` in place of itself, with times `at` (seconds since 1970)."""
    with tempfile.TemporaryDirectory(prefix="image-") as made:
        saved, part = Path(made) / "saved.tar", Path(made) / "layer.tar"
        subprocess.run(["docker", "save", "--output", saved, name], check=True)
        with tarfile.open(saved) as old, loading() as new:
            (manifest,) = json.load(old.extractfile("manifest.json"))
            config = json.load(old.extractfile(manifest["Config"]))
            layers = [f"{number}.tar" for number in range(len(manifest["Layers"]))]
            for number, layer in enumerate(manifest["Layers"]):
                member = old.getmember(layer)
                while member.issym():  # one layer that is there twice is saved once
                    member = old.getmember(
                        str(Path(member.name).parent / member.linkname).replace("/../", "/")
                    )
                if number < layers_below:
                    entry = tarfile.TarInfo(layers[number])
                    entry.size = member.size
                    new.addfile(entry, old.extractfile(member))
                    continue
                rewrite_layer(old.extractfile(member), part, at)
                with part.open("rb") as written:
                    digest = hashlib.file_digest(written, "sha256").hexdigest()
                config["rootfs"]["diff_ids"][number] = f"sha256:{digest}"
                new.add(part, layers[number])
            body = json.dumps(clean(config, at), sort_keys=True, separators=(",", ":")).encode()
            config_name = f"{hashlib.sha256(body).hexdigest()}.json"
            put(new, config_name, body)
            told = [{"Config": config_name, "RepoTags": manifest["RepoTags"], "Layers": layers}]
            put(new, "manifest.json", json.dumps(told).encode())


@contextmanager
def loading():
    """A tar that the engine loads while it is written."""
    command = ["docker", "load", "--quiet"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as engine:
        with tarfile.open(fileobj=engine.stdin, mode="w|") as tar:
            yield tar
        engine.stdin.close()
        if engine.wait():
            raise subprocess.CalledProcessError(engine.returncode, command)


def rewrite_layer(layer, target, at):
    """Write a layer's entries in order, each without what is the build's."""
    with (
        tarfile.open(fileobj=io.BufferedReader(layer)) as old,
        tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as new,
    ):
        entries = old.getmembers()
        # A hard link comes after what it links to.
        for entry in sorted(entries, key=lambda entry: (entry.islnk(), entry.name)):
            entry.mtime = min(int(entry.mtime), at)
            entry.uname = entry.gname = ""
            entry.pax_headers = {k: v for k, v in entry.pax_headers.items() if k.startswith("SCHILY.xattr.")}
            new.addfile(entry, old.extractfile(entry) if entry.isreg() else None)


def clean(config, at):
    """Return a configuration without ids and times of the build."""
    moment = datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")
    kept = {key: value for key, value in config.items() if key not in FORGOTTEN}
    kept["config"] = {k: v for k, v in config["config"].items() if k not in ("Image", "Hostname")}
    history = [
        {**entry, "created": min(entry.get("created", moment), moment)} for entry in config.get("history", [])
    ]
    return {**kept, "created": moment, "history": history}


def put(tar, name, body):
    entry = tarfile.TarInfo(name)
    entry.size = len(body)
    tar.addfile(entry, io.BytesIO(body))
