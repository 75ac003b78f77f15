#!/usr/bin/env python3
"""A registry client that shares no code with Berth: pushes small unique images from several threads until the server goes
away or a count is reached, and writes a line for each acknowledged one; or checks that what was acknowledged is there.

pusher.py push  URL CA TOKEN REPOSITORY THREADS COUNT SEED SIZE   -> "ACK tag digest" and "ERR status text" lines
pusher.py check URL CA TOKEN REPOSITORY  < ACK lines              -> exit 1 and a reason when anything is missing or wrong
"""
import base64, hashlib, http.client, json, random, ssl, sys, threading, urllib.parse

mode, url, ca, token, repository = sys.argv[1:6]
where = urllib.parse.urlparse(url)
context = ssl.create_default_context(cafile=ca)
auth = {"Authorization": "Basic " + base64.b64encode(("any:" + token).encode()).decode()}
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
say = threading.Lock()


def connect():
    return http.client.HTTPSConnection(where.hostname, where.port, context=context, timeout=120)


def call(connection, method, path, body=None, headers=None):
    connection.request(method, path, body, {**auth, **(headers or {})})
    answer = connection.getresponse()
    return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Refused(Exception):
    def __init__(self, status, text):
        super().__init__(f"{status} {text!r}")
        self.status, self.text = status, text


def want(result, *statuses):
    status, headers, body = result
    if status not in statuses:
        raise Refused(status, body[:300].decode(errors="replace"))
    return headers, body


def blob(connection, data):
    name = digest(data)
    status, _, _ = call(connection, "HEAD", f"/v2/{repository}/blobs/{name}")
    if status == 200:
        return name
    headers, _ = want(call(connection, "POST", f"/v2/{repository}/blobs/uploads/", b""), 202)
    half = len(data) // 2
    # Two requests with data, so that a crash can come between them.
    headers, _ = want(call(connection, "PATCH", location(headers), data[:half], {"Content-Type": "application/octet-stream"}), 202)
    target = location(headers)
    target += ("&" if "?" in target else "?") + urllib.parse.urlencode({"digest": name})
    want(call(connection, "PUT", target, data[half:], {"Content-Type": "application/octet-stream"}), 201)
    return name


def location(headers):
    parts = urllib.parse.urlparse(headers["location"])
    return parts.path + ("?" + parts.query if parts.query else "")


def push(connection, tag, size, noise):
    layers = [noise.randbytes(size), noise.randbytes(size // 3 + 1)]
    config = json.dumps({"architecture": "amd64", "os": "linux", "config": {"Labels": {"tag": tag}}}).encode()
    media = "application/vnd.oci.image.layer.v1.tar"
    manifest = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST,
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": blob(connection, config), "size": len(config)},
        "layers": [{"mediaType": media, "digest": blob(connection, layer), "size": len(layer)} for layer in layers]}).encode()
    want(call(connection, "PUT", f"/v2/{repository}/manifests/{tag}", manifest, {"Content-Type": MANIFEST}), 201)
    return digest(manifest)


def worker(number, count, seed, size):
    noise = random.Random(f"{seed}-{number}")
    connection = connect()
    for turn in range(count):
        tag = f"t{seed}-{number}-{turn}"
        try:
            name = push(connection, tag, size, noise)
        except Refused as refused:
            with say:
                print("ERR", refused.status, refused.text.replace("\n", " "), flush=True)
            connection.close()
            connection = connect()
            continue
        except (OSError, http.client.HTTPException):
            return
        with say:
            print("ACK", tag, name, flush=True)


def image(connection, reference):
    """Every byte of an image, checked against its digests."""
    _, body = want(call(connection, "GET", f"/v2/{repository}/manifests/{reference}", headers={"Accept": MANIFEST}), 200)
    manifest = json.loads(body)
    for part in [manifest["config"], *manifest["layers"]]:
        _, data = want(call(connection, "GET", f"/v2/{repository}/blobs/{part['digest']}"), 200)
        if digest(data) != part["digest"] or len(data) != part["size"]:
            raise Refused(200, f"{part['digest']} holds other bytes")
    return digest(body)


if mode == "push":
    threads, count, seed, size = (int(word) for word in sys.argv[6:10])
    running = [threading.Thread(target=worker, args=(n, count, seed, size)) for n in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
else:
    connection = connect()
    acknowledged = [line.split()[1:3] for line in sys.stdin if line.startswith("ACK ")]
    for tag, name in acknowledged:
        for reference in (tag, name):
            found = image(connection, reference)
            if found != name:
                sys.exit(f"{reference} is {found}, acknowledged was {name}")
    # Whatever else is visible must be whole.
    path = f"/v2/{repository}/tags/list?n=1000"
    tags = []
    while path:
        headers, body = want(call(connection, "GET", path), 200, 404)
        tags += json.loads(body).get("tags") or []
        link = headers.get("link", "")
        path = link[link.index("<") + 1:link.index(">")] if link else None
    for tag in tags:
        image(connection, tag)
    missing = {tag for tag, _ in acknowledged} - set(tags)
    if missing:
        sys.exit(f"acknowledged but not listed: {sorted(missing)}")
    print(len(acknowledged), "acknowledged,", len(tags), "visible")
