#!/usr/bin/env python3
"""Walks through the OCI distribution protocol as a client that shares no code with Berth.

Usage: conformance.py HOST:PORT CA_FILE MODE FIRST SECOND   (the token is read from standard input)

MODE is `basic` (the token as password of every request) or `bearer` (through the challenge and the token endpoint).
FIRST and SECOND are repositories that the token's owner may push to, pull from and delete in, and that are empty.
Prints each failed check with its last request and answer, then one line with the counts; exits 1 if any failed.
"""
import base64
import gzip
import hashlib
import http.client
import io
import json
import os
import re
import ssl
import sys
import tarfile
import urllib.parse

IMAGE = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
FOREIGN = "application/vnd.oci.image.layer.nondistributable.v1.tar"
EMPTY = "application/vnd.oci.empty.v1+json"
OCTETS = {"Content-Type": "application/octet-stream"}
ACCEPT = {"Accept": f"{INDEX}, {IMAGE}"}
KINDS = ("application/vnd.berth.test.one", "application/vnd.berth.test.two")
CHUNK = 1024
ALGORITHMS = ("sha256", "sha512")
FORMS = ("post", "put", "stream", "chunks")


class Failed(Exception):
    """A check did not hold."""


class Answer:
    def __init__(self, request, response, body):
        self.request, self.status, self.body = request, response.status, body
        self.fields = response.getheaders()

    def all(self, name):
        return [value for key, value in self.fields if key.lower() == name.lower()]

    def header(self, name):
        values = self.all(name)
        return values[0] if values else None

    def need(self, name, want=None):
        value = self.header(name)
        if value is None or want is not None and value != str(want):
            raise Failed(f"header {name} is {value!r}, wanted {want if want is not None else 'one'!r}")
        return value

    def json(self):
        return json.loads(self.body)

    def __str__(self):
        fields = "".join(f"\n    {key}: {value}" for key, value in self.fields)
        return f"{self.request}\n  -> {self.status}{fields}\n    {self.body[:400]!r}"


class Client:
    """One connection over TLS, kept alive."""

    def __init__(self, address, authority, mode, token):
        host, port = address.rsplit(":", 1)
        trust = ssl.create_default_context(cafile=authority)
        self.open = lambda: http.client.HTTPSConnection(host, int(port), context=trust, timeout=60)
        self.connection = self.open()
        self.basic = "Basic " + base64.b64encode(b"any:" + token.encode()).decode()
        self.authorization, self.last = None, None
        if mode == "basic":
            self.authorization = self.basic
        else:
            self.authorization = "Bearer " + self.exchange()

    def exchange(self):
        """A token from where the challenge says."""
        challenge = self.send("GET", "/v2/", want=401).need("WWW-Authenticate")
        parameters = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
        if not challenge.startswith("Bearer ") or "realm" not in parameters:
            raise Failed(f"not a Bearer challenge: {challenge}")
        realm = urllib.parse.urlsplit(parameters.pop("realm"))
        query = urllib.parse.urlencode({"service": parameters.get("service", ""), "account": "any"})
        answer = self.send("GET", f"{realm.path}?{query}", headers={"Authorization": self.basic}, want=200).json()
        return answer.get("access_token") or answer["token"]

    def send(self, method, url, body=None, headers=None, want=None, chunked=False):
        parts = urllib.parse.urlsplit(url)
        target = parts.path + ("?" + parts.query if parts.query else "")
        fields = {"Authorization": self.authorization} if self.authorization else {}
        fields.update(headers or {})
        if body is None and method in ("POST", "PUT", "PATCH"):
            body = b""
        data = iter([body[at : at + 777] for at in range(0, len(body), 777)]) if chunked else body
        shown = {key: value for key, value in fields.items() if key != "Authorization"}
        self.last = f"  {method} {target} {shown} ({len(body or b'')} bytes)"
        try:
            self.connection.request(method, target, data, fields, encode_chunked=chunked)
        except OSError:
            # A request that is refused before its body has arrived: the answer lies there all the same.
            pass
        try:
            response = self.connection.getresponse()
        except (http.client.HTTPException, OSError):
            self.connection.close()
            raise
        answer = Answer(self.last, response, response.read())
        self.last = answer
        wanted = (want,) if isinstance(want, int) else want
        if wanted and answer.status not in wanted:
            raise Failed(f"status {answer.status}, wanted {want}")
        return answer


class Walk:
    def __init__(self, client, first, second):
        self.client, self.first, self.second = client, first, second
        self.passed, self.failed = 0, 0

    def check(self, what, probe, *arguments, **named):
        """Runs a probe; returns what it returns, or nothing when it fails."""
        try:
            result = probe(*arguments, **named)
            self.passed += 1
            return result
        except (Failed, ValueError, KeyError, TypeError, AttributeError, OSError, http.client.HTTPException) as error:
            self.failed += 1
            print(f"FAILED {what}: {type(error).__name__}: {error}\n{self.client.last}\n")
            return None

    def expect(self, what, method, url, want, **named):
        return self.check(what, self.client.send, method, url, want=want, **named)


def equal(what, got, want):
    if got != want:
        raise Failed(f"{what}: {got!r:.300}, wanted {want!r:.300}")


def digest(algorithm, content):
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"


def extended(location, **parameters):
    separator = "&" if "?" in location else "?"
    return location + separator + urllib.parse.urlencode(parameters) if parameters else location


def blob_path(name, of):
    return f"/v2/{name}/blobs/{of}"


def manifest_path(name, reference):
    return f"/v2/{name}/manifests/{reference}"


# Blobs


def same_blob(answer, of, content, head=False):
    answer.need("Content-Length", len(content))
    answer.need("Docker-Content-Digest", of)
    equal("content", answer.body, b"" if head else content)


def begin(client, name, **parameters):
    return client.send("POST", extended(f"/v2/{name}/blobs/uploads/", **parameters), want=202).need("Location")


def upload(client, name, form, of, content, want=201):
    """Uploads a blob in one of the ways there are, and follows the location of the answer."""
    if form == "post":
        path = extended(f"/v2/{name}/blobs/uploads/", digest=of)
        answer = client.send("POST", path, content, OCTETS, want=want)
    elif form == "put":
        answer = client.send("PUT", extended(begin(client, name), digest=of), content, OCTETS, want=want)
    elif form == "stream":
        answer = client.send("PATCH", begin(client, name), content, OCTETS, want=202, chunked=True)
        answer = client.send("PUT", extended(answer.need("Location"), digest=of), b"", OCTETS, want=want)
    else:
        answer = chunks(client, begin(client, name), of, content, want, "last" in form, "wrong" in form)
    if want == 201:
        answer.need("Docker-Content-Digest", of)
        same_blob(client.send("GET", answer.need("Location"), want=200), of, content)


def chunks(client, location, of, content, want, put_last, wrong_first):
    """Chunks in order; before each, if asked to, one that is not its turn, which must change nothing."""
    size = min(max(len(content) // 3 + 1, CHUNK), len(content))
    at = 0

    def part(location, at, want):
        end = min(at + size, len(content))
        headers = {**OCTETS, "Content-Range": f"{at}-{end - 1}"}
        if put_last and end == len(content):
            return end, client.send("PUT", extended(location, digest=of), content[at:end], headers, want=want)
        return end, client.send("PATCH", location, content[at:end], headers, want=416 if want == 416 else 202)

    while at < len(content):
        if wrong_first:
            part(location, at + size if at + size < len(content) else 0, 416)
            answer = client.send("GET", location, want=204)
            answer.need("Range", f"0-{max(at - 1, 0)}")
            location = answer.need("Location")
        at, answer = part(location, at, want)
        if answer.status != 202:
            return answer
        answer.need("Range", f"0-{at - 1}")
        location = answer.need("Location")
    return client.send("PUT", extended(location, digest=of), b"", OCTETS, want=want)


def life(walk, what, name, of, content):
    """A blob is seen, read, deleted, and gone for every way to ask."""
    client, path = walk.client, blob_path(name, of)
    walk.check(f"{what}: HEAD", lambda: same_blob(client.send("HEAD", path, want=200), of, content, head=True))
    walk.check(f"{what}: GET", lambda: same_blob(client.send("GET", path, want=200), of, content))
    gone(walk, what, path)


def gone(walk, what, path, wants=(202,)):
    walk.expect(f"{what}: DELETE", "DELETE", path, wants)
    for method in ("HEAD", "GET", "DELETE"):
        walk.expect(f"{what}: {method} after DELETE", method, path, 404, headers=ACCEPT)


def blobs(walk, algorithm):
    client, first, second = walk.client, walk.first, walk.second
    forms = (*FORMS, "chunks last", "chunks wrong", "chunks last wrong")
    for size in (0, 2, 512, 3 * CHUNK - 5, 300_000):
        # What fits in one chunk has no wrong turn.
        for form in (form for form in forms if size > CHUNK or "wrong" not in form):
            content = os.urandom(size)
            of, what = digest(algorithm, content), f"{algorithm} {form} of {size} bytes"
            walk.check(what, upload, client, first, form, of, content)
            life(walk, what, first, of, content)
    for form in forms[:5]:
        content = os.urandom(2000)
        other, what = digest(algorithm, b"another" + content), f"{algorithm} {form} under a wrong digest"
        walk.check(what, upload, client, first, form, other, content, want=400)
        walk.expect(f"{what}: nothing there", "GET", blob_path(first, other), 404)
    mounts(walk, algorithm)
    ranges(walk, algorithm)
    sessions(walk, algorithm)


def mounts(walk, algorithm):
    client, first, second = walk.client, walk.first, walk.second

    def mount(of, content, want, **parameters):
        path = extended(f"/v2/{first}/blobs/uploads/", mount=of, **parameters)
        answer = client.send("POST", path, want=want)
        if answer.status == 202:
            answer = client.send("PUT", extended(answer.need("Location"), digest=of), content, OCTETS, want=201)
        answer.need("Docker-Content-Digest", of)
        same_blob(client.send("GET", answer.need("Location"), want=200), of, content)

    for what, there, want, parameters in (
        ("mount", True, 201, {"from": second}),
        ("mount from anywhere", True, 201, {}),
        ("mount of what is not there", False, 202, {"from": second}),
        ("mount from a repository that is not there", False, 202, {"from": "nowhere/none"}),
        ("mount from what is no repository", False, 202, {"from": "No//Name"}),
    ):
        content = os.urandom(600)
        of, what = digest(algorithm, content), f"{algorithm} {what}"
        if there:
            walk.check(f"{what}: source", upload, client, second, "put", of, content)
        walk.check(what, mount, of, content, want, **parameters)
        life(walk, what, first, of, content)
        if there:
            walk.check(f"{what}: source stays", lambda: same_blob(client.send("GET", blob_path(second, of), want=200), of, content))
            gone(walk, f"{what}: source", blob_path(second, of))


def ranges(walk, algorithm):
    client, content = walk.client, os.urandom(2048)
    of = digest(algorithm, content)
    path = blob_path(walk.first, of)
    walk.check(f"{algorithm} ranges", upload, client, walk.first, "put", of, content)

    def one(text, part):
        answer = client.send("GET", path, headers={"Range": "bytes=" + text}, want=206 if part else 416)
        if part:
            equal("content", answer.body, content[part])
            answer.need("Content-Length", len(content[part]))
            answer.need("Content-Range", f"bytes {part.start}-{part.stop - 1}/2048")

    for text, part in (
        ("500-1499", slice(500, 1500)),
        ("500-", slice(500, 2048)),
        ("-500", slice(1548, 2048)),
        ("2000-5000", slice(2000, 2048)),
        ("0-0", slice(0, 1)),
        ("5000-10000", None),
        ("2048-", None),
        ("500-0", None),
    ):
        walk.check(f"{algorithm} range {text}", one, text, part)
    walk.expect(f"{algorithm} known content", "GET", path, 304, headers={"If-None-Match": f'"{of}"'})
    gone(walk, f"{algorithm} ranges", path)


def sessions(walk, algorithm):
    """What can be wrong with an upload, and its end."""
    client, first = walk.client, walk.first
    content = os.urandom(2000)
    of = digest(algorithm, content)

    def cancelled(started):
        location = begin(client, first)
        if started:
            location = client.send("PATCH", location, content, OCTETS, want=202).need("Location")
        client.send("DELETE", location, want=204)
        for method, url in (("GET", location), ("PATCH", location), ("PUT", extended(location, digest=of)), ("DELETE", location)):
            client.send(method, url, content if method[0] == "P" else None, OCTETS, want=404)

    walk.check(f"{algorithm} cancel before the first byte", cancelled, False)
    walk.check(f"{algorithm} cancel half way", cancelled, True)

    def status():
        location = begin(client, first)
        for _ in range(2):
            answer = client.send("GET", location, want=204)
            location = answer.need("Location")
        answer = client.send("PATCH", location, content[:100], OCTETS, want=202)
        answer.need("Range", "0-99")
        client.send("GET", answer.need("Location"), want=204).need("Range", "0-99")
        answer = client.send("PATCH", answer.need("Location"), content[100:], OCTETS, want=202)
        client.send("PUT", extended(answer.need("Location"), digest=of), want=201)

    walk.check(f"{algorithm} status of an upload", status)
    gone(walk, f"{algorithm} status of an upload", blob_path(first, of))

    def announced():
        answer = client.send("PUT", extended(begin(client, first, **{"digest-algorithm": algorithm}), digest=of), content, OCTETS, want=201)
        answer.need("Docker-Content-Digest", of)

    walk.check(f"{algorithm} announced", announced)
    gone(walk, f"{algorithm} announced", blob_path(first, of))
    for what, method, parameters, headers, want in (
        ("no digest at the end", "PUT", {}, OCTETS, 400),
        ("no digest at all at the end", "PUT", {"digest": "nonsense"}, OCTETS, 400),
        ("unknown algorithm", "PUT", {"digest": "md5:" + "0" * 32}, OCTETS, 400),
        ("short digest", "PUT", {"digest": of[:40]}, OCTETS, 400),
        ("range longer than the chunk", "PATCH", {}, {**OCTETS, "Content-Range": "0-2000"}, range(400, 417)),
        ("range shorter than the chunk", "PATCH", {}, {**OCTETS, "Content-Range": "0-9"}, range(400, 417)),
        ("range that begins later", "PATCH", {}, {**OCTETS, "Content-Range": "7-2006"}, 416),
        ("range that is none", "PATCH", {}, {**OCTETS, "Content-Range": "x-y"}, range(400, 417)),
    ):
        walk.check(
            f"{algorithm} {what}",
            lambda: client.send(method, extended(begin(client, first), **parameters), content, headers, want=want),
        )
    walk.expect("unknown upload", "PATCH", f"/v2/{first}/blobs/uploads/8d4d8ba0-0000-4000-8000-000000000000", 404, body=b"x")
    walk.expect("single POST without a valid digest", "POST", f"/v2/{first}/blobs/uploads/?digest=nonsense", 400, body=content)


# Manifests


class Content:
    """Blobs, the manifests that name them in the order in which they are pushed, their tags and their referrers."""

    def __init__(self, name, algorithm="sha256", data=False, extra=False, by_parameter=False, packed=True):
        self.name, self.algorithm, self.data, self.extra = name, algorithm, data, extra
        self.by_parameter, self.packed = by_parameter, packed
        self.blobs, self.manifests, self.tags, self.referrers = {}, {}, {}, {}

    def descriptor(self, media_type, content):
        own = {"mediaType": media_type, "digest": digest(self.algorithm, content), "size": len(content)}
        if self.data:
            own["data"] = base64.b64encode(content).decode()
        return own

    def blob(self, media_type, content):
        own = self.descriptor(media_type, content)
        self.blobs[own["digest"]] = content
        return own

    def layer(self):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as archive:
            entry = tarfile.TarInfo("file")
            entry.size = 300
            archive.addfile(entry, io.BytesIO(os.urandom(300)))
        content = out.getvalue()
        return self.blob(LAYER + "+gzip", gzip.compress(content)) if self.packed else self.blob(LAYER, content)

    def manifest(self, document, tag=None, subject=None, kind=None, annotations=None):
        if self.extra:
            document["org.berth." + os.urandom(4).hex()] = "unknown to every specification"
        optional = {"subject": subject, "artifactType": kind, "annotations": annotations}
        document.update({key: value for key, value in optional.items() if value})
        content = json.dumps(document).encode()
        own = self.descriptor(document["mediaType"], content)
        self.manifests[own["digest"]] = content
        if tag:
            self.tags[tag] = own["digest"]
        if subject:
            listed = {key: own[key] for key in ("mediaType", "digest", "size")}
            listed["artifactType"] = kind or document.get("config", {}).get("mediaType", "")
            if annotations:
                listed["annotations"] = annotations
            self.referrers.setdefault(subject["digest"], []).append(listed)
        return own

    def image(self, tag=None, layers=2, architecture="amd64", **more):
        config = {"os": "linux", "architecture": architecture, "author": os.urandom(4).hex()}
        listed = [self.layer() for _ in range(layers)]
        config["rootfs"] = {"type": "layers", "diff_ids": [layer["digest"] for layer in listed]}
        if self.extra:
            config["org.berth.extra"] = os.urandom(4).hex()
        config = self.blob(CONFIG, json.dumps(config).encode())
        return self.manifest({"schemaVersion": 2, "mediaType": IMAGE, "config": config, "layers": listed}, tag, **more)

    def artifact(self, tag=None, kind=KINDS[0], layer=None, **more):
        listed = [layer or self.blob(kind, os.urandom(900))]
        config = self.blob(EMPTY, b"{}")
        document = {"schemaVersion": 2, "mediaType": IMAGE, "config": config, "layers": listed}
        return self.manifest(document, tag, kind=kind, **more)

    def index(self, children, tag=None, **more):
        return self.manifest({"schemaVersion": 2, "mediaType": INDEX, "manifests": children}, tag, **more)

    def platforms(self, tag=None, make=None, **more):
        children = []
        for architecture in ("amd64", "arm64"):
            child = make() if make else self.image(architecture=architecture)
            children.append({**child, "platform": {"os": "linux", "architecture": architecture}})
        return self.index(children, tag, **more)


def contents():
    noted = {"org.berth.note": "hello", "org.berth.unique": os.urandom(4).hex()}
    made = {}

    def new(name, **named):
        made[name] = Content(name, **named)
        return made[name]

    new("image").image("image")
    new("uncompressed image", packed=False).image("plain")
    new("large manifest").image("large", annotations={f"note-{n}": "A" * 10_000 for n in range(390)})
    new("index").platforms("index")
    own = new("nested index")
    own.index([own.platforms(), own.platforms()], "nested")
    new("empty index").index([], "index")
    new("artifact").artifact("artifact")
    own = new("index of artifacts")
    own.platforms("artifacts", make=own.artifact, kind=KINDS[0])
    own = new("artifact without content")
    own.artifact("hollow", layer=own.blob(EMPTY, b"{}"))
    own = new("referrers of an image")
    subject = own.image("image")
    own.image(subject=subject)
    own.artifact("first-referrer", subject=subject, annotations=noted)
    own.artifact("second-referrer", kind=KINDS[1], subject=subject, annotations=noted)
    own = new("referrers of an index")
    own.platforms("referrer", make=own.artifact, kind=KINDS[0], subject=own.platforms("index"), annotations=noted)
    own = new("referrer of nothing")
    nothing = {"mediaType": IMAGE, "digest": digest("sha256", os.urandom(8)), "size": 123}
    own.artifact("referrer", subject=nothing, annotations=noted)
    new("content in descriptors", data=True).image("data")
    own = new("layers that stay elsewhere")
    config = own.blob(CONFIG, json.dumps({"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": []}}).encode())
    layers = [own.layer()]
    for suffix in ("", "+gzip"):
        of = digest("sha256", os.urandom(8))
        layers.append({"mediaType": FOREIGN + suffix, "digest": of, "size": 12345, "urls": ["https://store.example.com/" + of]})
    own.manifest({"schemaVersion": 2, "mediaType": IMAGE, "config": config, "layers": layers}, "elsewhere")
    new("fields of tomorrow", extra=True).platforms("tomorrow")
    new("no layers").image("bare", layers=0)
    own = new("sparse image")
    own.image("sparse-image")
    del own.blobs[json.loads(next(iter(own.manifests.values())))["layers"][1]["digest"]]
    own = new("sparse index")
    missing = {"mediaType": IMAGE, "digest": digest("sha256", os.urandom(8)), "size": 1024}
    own.index([own.image(), missing], "sparse-index")
    new("sha512", algorithm="sha512").platforms()
    for algorithm in ALGORITHMS:
        own = new(f"tags as parameters, {algorithm}", algorithm=algorithm, by_parameter=True)
        own.platforms(f"parameter-{algorithm}")
        own.tags.update({f"parameter-{algorithm}-{n}": of for n, of in enumerate(own.manifests)})
    return made.values()


def media_type(manifest):
    return json.loads(manifest)["mediaType"]


def same_manifest(answer, of, manifest, head=False):
    answer.need("Content-Type", media_type(manifest))
    answer.need("Content-Length", len(manifest))
    answer.need("Docker-Content-Digest", of)
    equal("manifest", answer.body, b"" if head else manifest)


def put_manifest(client, name, reference, of, manifest, tags=()):
    path = manifest_path(name, reference)
    path += "?" + urllib.parse.urlencode({"tag": tags}, doseq=True) if tags else ""
    # Many clients do not say how long a manifest is.
    answer = client.send("PUT", path, manifest, {"Content-Type": media_type(manifest)}, want=201, chunked=True)
    answer.need("Docker-Content-Digest", of)
    subject = json.loads(manifest).get("subject")
    if subject:
        answer.need("OCI-Subject", subject["digest"])
    set_tags = [tag.strip() for value in answer.all("OCI-Tag") for tag in value.split(",")]
    equal("tags that were set", sorted(set(tags) - set(set_tags)), [])
    same_manifest(client.send("GET", answer.need("Location"), headers=ACCEPT, want=200), of, manifest)


def tags(client, name, **query):
    answer = client.send("GET", extended(f"/v2/{name}/tags/list", **query), want=(200, 404))
    return answer.json()["tags"] if answer.status == 200 else []


def referrers(client, name, of, **query):
    """All pages of the list."""
    url, found = extended(f"/v2/{name}/referrers/{of}", **query), []
    while url:
        answer = client.send("GET", url, want=200)
        answer.need("Content-Type", INDEX)
        if query.get("artifactType"):
            answer.need("OCI-Filters-Applied", "artifactType")
        index = answer.json()
        equal("kind of list", (index["schemaVersion"], index["mediaType"]), (2, INDEX))
        found += index["manifests"]
        link = answer.header("Link")
        url = re.match(r"<([^>]*)>", link)[1] if link else None
    return sorted(found, key=lambda one: one["digest"])


def of_type(listed, kind):
    return sorted((one for one in listed if kind in (None, one["artifactType"])), key=lambda one: one["digest"])


def whole(walk, content, digest_first):
    """Pushes content in the order of its parts, looks at it in every way, and deletes it."""
    client, name = walk.client, walk.first
    for (of, blob), form in zip(content.blobs.items(), FORMS * len(content.blobs)):
        walk.check(f"{content.name}: blob by {form}", upload, client, name, form, of, blob)
    for of, manifest in content.manifests.items():
        own = [tag for tag, to in content.tags.items() if to == of] if content.by_parameter else []
        walk.check(f"{content.name}: push {of}", put_manifest, client, name, of, of, manifest, own)
    for tag, of in {} if content.by_parameter else content.tags.items():
        walk.check(f"{content.name}: push {tag}", put_manifest, client, name, tag, of, content.manifests[of])
    walk.check(f"{content.name}: tags", lambda: equal("tags", tags(client, name), sorted(content.tags)))
    for reference, of in {**content.tags, **{of: of for of in content.manifests}}.items():
        manifest, path = content.manifests[of], manifest_path(name, reference)
        for method in ("HEAD", "GET"):
            walk.check(
                f"{content.name}: {method} {reference}",
                lambda: same_manifest(client.send(method, path, headers=ACCEPT, want=200), of, manifest, method == "HEAD"),
            )
    for of, listed in content.referrers.items():
        for kind in {None, *(one["artifactType"] for one in listed)}:
            query = {"artifactType": kind} if kind else {}
            walk.check(
                f"{content.name}: referrers {kind}",
                lambda: equal("referrers", referrers(client, name, of, **query), of_type(listed, kind)),
            )
        walk.check(f"{content.name}: no such referrers", lambda: equal("referrers", referrers(client, name, of, artifactType="a/b"), []))
    newest_first = list(reversed(content.manifests))
    # Deleting a manifest takes the tags that mean it along.
    for reference in newest_first if digest_first else [*content.tags, *newest_first]:
        gone(walk, f"{content.name}: {reference}", manifest_path(name, reference))
    for tag in content.tags:
        walk.expect(f"{content.name}: {tag} is gone", "GET", manifest_path(name, tag), 404, headers=ACCEPT)
    walk.check(f"{content.name}: no tags", lambda: equal("tags", tags(client, name), []))
    for of in content.referrers:
        walk.check(f"{content.name}: no referrers", lambda: equal("referrers", referrers(client, name, of), []))
    for of in content.blobs:
        gone(walk, f"{content.name}: blob", blob_path(name, of))


def paging(walk):
    client, name, content = walk.client, walk.first, Content("paging")
    of = content.image("v1")["digest"]
    for blob in content.blobs.items():
        walk.check("paging: blob", upload, client, name, "put", *blob)
    names = ["A", "Z-1", "_", "a", "b", "v1", "v1.10", "v1.9", "x" * 128]
    for tag in names:
        walk.check(f"paging: {tag}", put_manifest, client, name, tag, of, content.manifests[of])

    def linked(n):
        url, pages = f"/v2/{name}/tags/list?n={n}", []
        while url:
            answer = client.send("GET", url, want=200)
            equal("name", answer.json()["name"], name)
            pages.append(answer.json()["tags"])
            link = answer.header("Link")
            if link and not link.endswith('; rel="next"'):
                raise Failed(f"not a link to the next page: {link}")
            url = re.match(r"<([^>]*)>", link)[1] if link else None
        equal("sizes", [page for page in pages[:-1] if len(page) != n], [])
        equal("tags", sum(pages, []), names)

    for n in (1, 2, 4, 8, 9, 50):
        walk.check(f"paging: n={n} by links", linked, n)
    for query, want in (
        ({}, names),
        ({"n": 0}, []),
        ({"n": 3, "last": "a"}, names[4:7]),
        ({"last": "a"}, names[4:]),
        ({"last": "v1.1"}, names[6:]),
        ({"last": "zzz"}, []),
    ):
        walk.check(f"paging: {query}", lambda: equal("tags", tags(client, name, **query), want))
    for bad in ("-1", "x"):
        walk.expect(f"paging: n={bad}", "GET", f"/v2/{name}/tags/list?n={bad}", 400)
    # One deletion takes every tag.
    gone(walk, "paging: all tags at once", manifest_path(name, of))
    walk.check("paging: none left", lambda: equal("tags", tags(client, name), []))
    for of in content.blobs:
        gone(walk, "paging: blob", blob_path(name, of))


def late_subject(walk):
    """Referrers come before their subject, and outlive each other but not themselves."""
    client, name, content = walk.client, walk.first, Content("late subject")
    subject = content.image()
    ones = [content.artifact(kind=KINDS[n % 2], subject=subject, annotations={"n": str(n)})["digest"] for n in range(4)]
    for blob in content.blobs.items():
        walk.check("late subject: blob", upload, client, name, "put", *blob)
    of, listed = subject["digest"], content.referrers[subject["digest"]]

    def listing(what, left):
        for kind in (None, *KINDS):
            query = {"artifactType": kind} if kind else {}
            want = of_type([one for one in listed if one["digest"] in left], kind)
            walk.check(f"late subject: {what}, {kind}", lambda: equal("referrers", referrers(client, name, of, **query), want))

    listing("before all", [])
    for count, one in enumerate(ones, 1):
        walk.check("late subject: referrer", put_manifest, client, name, one, one, content.manifests[one])
        listing(f"{count} without subject", ones[:count])
    walk.check("late subject: subject", put_manifest, client, name, "v1", of, content.manifests[of])
    listing("with subject", ones)
    gone(walk, "late subject: first", manifest_path(name, ones[0]))
    listing("without the first", ones[1:])
    walk.check("late subject: again", put_manifest, client, name, ones[0], ones[0], content.manifests[ones[0]])
    listing("with the first again", ones)
    for one in [*ones, of]:
        gone(walk, "late subject: all", manifest_path(name, one))
    listing("after all", [])
    for of in content.blobs:
        gone(walk, "late subject: blob", blob_path(name, of))


def moved_tag(walk):
    """A tag that moved on stays when the image that it left is deleted."""
    client, name, content = walk.client, walk.first, Content("moved tag")
    old, new = content.image()["digest"], content.image()["digest"]
    for blob in content.blobs.items():
        walk.check("moved tag: blob", upload, client, name, "put", *blob)
    for tag, of in (("v1", old), ("v1", new), ("back", new), ("back", old)):
        walk.check(f"moved tag: {tag}", put_manifest, client, name, tag, of, content.manifests[of])
    gone(walk, "moved tag: old", manifest_path(name, old))
    walk.check("moved tag: tags", lambda: equal("tags", tags(client, name), ["v1"]))
    path = manifest_path(name, "v1")
    walk.check("moved tag: new", lambda: same_manifest(client.send("GET", path, headers=ACCEPT, want=200), new, content.manifests[new]))
    gone(walk, "moved tag: new", manifest_path(name, new))
    for of in content.blobs:
        gone(walk, "moved tag: blob", blob_path(name, of))


def refusals(walk):
    """Broken manifests, names, references and methods."""
    client, name, content = walk.client, walk.first, Content("refusals")
    of = content.image()["digest"]
    manifest = content.manifests[of]
    for blob in content.blobs.items():
        walk.check("refusals: blob", upload, client, name, "put", *blob)

    def changed(**fields):
        return json.dumps({**json.loads(manifest), **fields}).encode()

    unknown = {"mediaType": CONFIG, "digest": digest("sha256", os.urandom(8)), "size": 5}
    for what, body, kind, want in (
        ("nothing", b"", IMAGE, 400),
        ("no JSON", b"manifest", IMAGE, 400),
        ("half a manifest", manifest[:-20], IMAGE, 400),
        ("a list", b"[]", IMAGE, 400),
        ("no config", json.dumps({"schemaVersion": 2, "mediaType": IMAGE, "layers": []}).encode(), IMAGE, 400),
        ("schema version 7", changed(schemaVersion=7), IMAGE, 400),
        ("layers that are no list", changed(layers="x"), IMAGE, 400),
        ("a layer without digest", changed(layers=[{"mediaType": LAYER, "size": 1}]), IMAGE, 400),
        ("a layer with half a digest", changed(layers=[{**unknown, "digest": "sha256:12"}]), IMAGE, 400),
        ("a layer of negative size", changed(layers=[{**unknown, "size": -1}]), IMAGE, 400),
        ("an unknown config", changed(config=unknown), IMAGE, 400),
        ("a subject without digest", changed(subject={"mediaType": IMAGE}), IMAGE, 400),
        ("another media type than it says", manifest, INDEX, 400),
        ("a media type that is no manifest's", manifest, "text/plain", (400, 415)),
        ("no media type", manifest, "", (400, 415)),
        ("deep nesting", b'{"a":' * 50_000 + b"1" + b"}" * 50_000, IMAGE, 400),
        ("five MiB", changed(annotations={"a": "A" * (5 << 20)}), IMAGE, 413),
    ):
        # A manifest without a media type of its own is told by its fields: only this one case says it without a header.
        want = (*([want] if isinstance(want, int) else want), 201) if what == "no media type" else want
        walk.expect(f"refused: {what}", "PUT", manifest_path(name, "refused"), want, body=body, headers={"Content-Type": kind})
    for what, reference, want in (
        ("another digest", digest("sha256", b"other"), 400),
        ("a digest that is none", "sha256:baddigeststring", 400),
        ("an uppercase digest", of.upper().replace("SHA256", "sha256"), 400),
        ("a tag of 129 characters", "x" * 129, (400, 404)),
        ("a tag that begins with a dash", "-x", (400, 404)),
        ("tag parameters that are none", f"{of}?tag=-x", 400),
    ):
        headers = {"Content-Type": IMAGE}
        walk.expect(f"refused: {what}", "PUT", manifest_path(name, reference), want, body=manifest, headers=headers)
    for method in ("GET", "HEAD"):
        for reference, want in ((digest("sha256", b"other"), 404), ("no-such-tag", 404), ("sha256:baddigeststring", (400, 404))):
            walk.expect(f"{method} {reference}", method, manifest_path(name, reference), want, headers=ACCEPT)
    walk.expect("a digest that is none, deleted", "DELETE", manifest_path(name, "sha256:baddigeststring"), (400, 404))
    gone(walk, "refused: none was kept by its tag", manifest_path(name, "refused"), wants=(202, 404))
    for bad in ("Upper/case", "conformance/UPPER", "conformance/a..b", "conformance/-a", "conformance/a%20b", "conformance//b", "../conformance/a", "conformance/" + "a" * 256):
        walk.expect(f"name {bad:.30}", "GET", f"/v2/{bad}/tags/list", (400, 404))
        walk.expect(f"push to {bad:.30}", "POST", f"/v2/{bad}/blobs/uploads/", (400, 404, 405))
    walk.expect("empty list of referrers", "GET", f"/v2/{name}/referrers/{digest('sha512', b'x')}", 200)
    walk.expect("referrers of what is no digest", "GET", f"/v2/{name}/referrers/latest", (400, 404))
    for method, path in (
        ("POST", "/v2/"),
        ("PUT", f"/v2/{name}/tags/list"),
        ("DELETE", f"/v2/{name}/tags/list"),
        ("POST", manifest_path(name, "x")),
        ("PATCH", manifest_path(name, "x")),
        ("PUT", blob_path(name, of)),
        ("POST", blob_path(name, of)),
        ("POST", f"/v2/{name}/referrers/{of}"),
        ("PUT", f"/v2/{name}/blobs/uploads/"),
        ("BREW", manifest_path(name, "x")),
    ):
        walk.expect(f"{method} {path}", method, path, (404, 405, 501))
    errors = walk.expect("an error body", "GET", manifest_path(name, "none"), 404)
    walk.check("an error body says what", lambda: equal("code", errors.json()["errors"][0]["code"], "MANIFEST_UNKNOWN"))
    for of in content.blobs:
        gone(walk, "refusals: blob", blob_path(name, of))


def main():
    address, authority, mode, first, second = sys.argv[1:]
    token = sys.stdin.read().strip()
    walk = Walk(Client(address, authority, mode, token), first, second)
    walk.expect("base", "GET", "/v2/", 200)
    walk.check("no tags at first", lambda: equal("tags", tags(walk.client, first), []))
    walk.check("no referrers at first", lambda: equal("referrers", referrers(walk.client, first, digest("sha256", b"x")), []))
    for algorithm in ALGORITHMS:
        blobs(walk, algorithm)
    for n, content in enumerate(contents()):
        whole(walk, content, digest_first=(n + (mode == "bearer")) % 2 == 0)
    paging(walk)
    late_subject(walk)
    moved_tag(walk)
    refusals(walk)
    print(f"{walk.passed} passed, {walk.failed} failed")
    sys.exit(1 if walk.failed else 0)


if __name__ == "__main__":
    main()
