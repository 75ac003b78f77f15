"""Logs in with a real browser: Chromium, driven through the WebDriver protocol with nothing but the standard library.

usage: webdriver.py API CA OUT USER PASSWORD [PROVIDER]

Does what a person does after `oc login --web` (the answer is caught on a loopback port) and on the page that shows a token.
Prints one JSON object: {"web": TOKEN, "shown": TOKEN, "problems": [what the browser complained about]}; screenshots go to OUT.
"""
import base64, hashlib, http.server, json, os, secrets, socket, ssl, subprocess, sys, tempfile, threading, time
import urllib.error, urllib.parse, urllib.request

API, CA, OUT, USER, PASSWORD = sys.argv[1:6]
PROVIDER = sys.argv[6] if len(sys.argv) > 6 else None
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
PATIENCE = 30


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Browser:
    def __init__(self):
        self.profile = tempfile.TemporaryDirectory()
        port = free_port()
        self.base = f"http://127.0.0.1:{port}"
        self.driver = subprocess.Popen(["chromedriver", f"--port={port}", "--log-level=SEVERE"],
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.wait(self.is_up, "chromedriver")
        arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
                     "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
                     "--window-size=900,800", f"--user-data-dir={self.profile.name}"]
        capabilities = {"acceptInsecureCerts": True, "goog:loggingPrefs": {"browser": "ALL"},
                        "goog:chromeOptions": {"args": arguments}}
        self.session = self.call("POST", "/session", {"capabilities": {"alwaysMatch": capabilities}})["sessionId"]

    def is_up(self):
        try:
            return self.call("GET", "/status")["ready"]
        except (urllib.error.URLError, ConnectionError):
            return False

    def call(self, method, path, body=None):
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self.base + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(error.read().decode()[:500])

    def do(self, method, path, body=None):
        return self.call(method, f"/session/{self.session}{path}", body)

    def wait(self, probe, what):
        deadline = time.time() + PATIENCE
        while time.time() < deadline:
            try:
                found = probe()
                if found:
                    return found
            except RuntimeError:
                pass
            time.sleep(0.05)
        raise SystemExit(f"did not happen: {what}; the page is {self.url()}: {self.source()[:2000]}")

    def url(self):
        return self.do("GET", "/url")

    def source(self):
        return self.do("GET", "/source")

    def open(self, url):
        self.do("POST", "/url", {"url": url})

    def find(self, css):
        return self.do("POST", "/element", {"using": "css selector", "value": css})[ELEMENT]

    def type(self, css, text):
        self.do("POST", f"/element/{self.find(css)}/value", {"text": text})

    def click(self, css):
        self.do("POST", f"/element/{self.find(css)}/click", {})

    def text(self, css):
        return self.do("GET", f"/element/{self.find(css)}/text")

    def label(self, css):
        return self.do("GET", f"/element/{self.find(css)}/computedlabel")

    def shoot(self, name):
        with open(os.path.join(OUT, name + ".png"), "wb") as file:
            file.write(base64.b64decode(self.do("GET", "/screenshot")))

    def complaints(self):
        return [entry["message"] for entry in self.do("POST", "/se/log", {"type": "browser"})]

    def close(self):
        try:
            self.do("DELETE", "")
        finally:
            self.driver.terminate()
            self.driver.wait()


class Callback(http.server.BaseHTTPRequestHandler):
    answer = None

    def do_GET(self):
        path = urllib.parse.urlsplit(self.path)
        if path.path == "/callback":
            Callback.answer = dict(urllib.parse.parse_qsl(path.query))
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.end_headers()
        self.wfile.write(b"done")

    def log_message(self, *_):
        pass


def post(path, form):
    context = ssl.create_default_context(cafile=CA)
    data = urllib.parse.urlencode(form).encode()
    with urllib.request.urlopen(API + path, data, context=context, timeout=30) as answer:
        return json.load(answer)


def choose(browser):
    """Several providers: a page asks which one."""
    if PROVIDER:
        browser.wait(lambda: "Log in with" in browser.source(), "the choice of a provider")
        browser.shoot("choice")
        browser.click(f"a[href*='/login/{PROVIDER}?']")
    browser.wait(lambda: browser.find("#username"), "the form")


def web(browser):
    """As `oc login --web`: code grant with PKCE for a loopback address with any port."""
    server = http.server.HTTPServer(("127.0.0.1", 0), Callback)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    redirect = f"http://127.0.0.1:{server.server_port}/callback"
    verifier, state = secrets.token_urlsafe(48), secrets.token_urlsafe(16)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    query = {"client_id": "openshift-cli-client", "response_type": "code", "redirect_uri": redirect, "state": state,
             "code_challenge": challenge, "code_challenge_method": "S256"}
    browser.open(f"{API}/oauth/authorize?{urllib.parse.urlencode(query)}")
    choose(browser)
    browser.shoot("login")
    labels = [browser.label("#username"), browser.label("#password")]
    assert labels == ["User name", "Password"], labels
    browser.type("#username", USER)
    browser.type("#password", "wrong")
    browser.click("button[type=submit]")
    problem = browser.wait(lambda: browser.text("[role=alert]"), "the wrong password is told")
    assert "Invalid login or password" in problem, problem
    browser.shoot("wrong")
    browser.type("#password", PASSWORD)
    browser.click("button[type=submit]")
    browser.wait(lambda: Callback.answer, "the answer at the loopback address")
    server.shutdown()
    assert Callback.answer["state"] == state, Callback.answer
    form = {"grant_type": "authorization_code", "client_id": "openshift-cli-client", "redirect_uri": redirect,
            "code": Callback.answer["code"], "code_verifier": verifier}
    return post("/oauth/token", form)["access_token"]


def shown(browser):
    """The page that shows a token; the browser is still known from before."""
    browser.open(f"{API}/oauth/token/request")
    browser.wait(lambda: "You are logged in" in browser.source(), "the question whether to show the token")
    browser.shoot("ask")
    browser.click("button[type=submit]")
    browser.wait(lambda: "Your token is" in browser.source(), "the token")
    browser.shoot("token")
    token = browser.text("pre")
    assert f"oc login --token={token} --server={API}" in browser.source()
    browser.click("footer button")
    browser.wait(lambda: "Logged out" in browser.source(), "the end of the session")
    browser.shoot("logged-out")
    browser.open(f"{API}/oauth/token/request")
    browser.wait(lambda: "/login" in browser.url(), "the session is gone")
    return token


def main():
    browser = Browser()
    try:
        result = {"web": web(browser), "shown": shown(browser)}
        result["problems"] = [text for text in browser.complaints() if "401" not in text and "favicon" not in text]
        print(json.dumps(result))
    finally:
        browser.close()


main()
