"""Logs in as clients do, with nothing but the standard library.

usage: client.py API CA password USER PASSWORD [code|token]     as `oc login -u -p`
       client.py API CA sso PROVIDER ACCOUNT                    as a person at an OpenID provider with plain login forms

Prints one JSON object: {"status", "token", "expires_in", "error", "text"}, whatever of it there is.
"""
import base64, hashlib, html, http.client, json, re, secrets, ssl, sys, urllib.parse

API, CA, HOW = sys.argv[1:4]


class Client:
    """Requests with cookies and without following redirects."""

    def __init__(self):
        self.cookies = {}

    def request(self, method, url, form=None, headers=None):
        parts = urllib.parse.urlsplit(url)
        if parts.scheme == "https":
            connection = http.client.HTTPSConnection(parts.netloc, timeout=60, context=ssl.create_default_context(cafile=CA))
        else:
            connection = http.client.HTTPConnection(parts.netloc, timeout=60)
        headers = dict(headers or {})
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        body = None
        if form is not None:
            body = urllib.parse.urlencode(form)
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        text = answer.read().decode()
        for cookie in answer.headers.get_all("Set-Cookie", []):
            name, value = cookie.split(";")[0].split("=", 1)
            if value and "max-age=0" not in cookie.lower():
                self.cookies[name] = value
            else:
                self.cookies.pop(name, None)
        location = answer.headers.get("Location")
        return answer.status, urllib.parse.urljoin(url, location) if location else None, text, answer.headers


def discover():
    status, _, text, _ = Client().request("GET", f"{API}/.well-known/oauth-authorization-server")
    assert status == 200, text
    return json.loads(text)


def challenge():
    verifier = secrets.token_urlsafe(48)
    return verifier, base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def exchange(metadata, client, redirect, code, verifier):
    """As osincli does: the parameters in the query of a POST without a body, the client as Basic credentials."""
    query = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect, "code_verifier": verifier}
    basic = base64.b64encode(f"{client}:".encode()).decode()
    url = f"{metadata['token_endpoint']}?{urllib.parse.urlencode(query)}"
    status, _, text, headers = Client().request("POST", url, headers={"Authorization": f"Basic {basic}"})
    assert headers.get("Cache-Control") == "no-store"
    answer = json.loads(text)
    return {"status": status, "token": answer.get("access_token"), "expires_in": answer.get("expires_in"), "error": answer.get("error")}


def password(user, secret, grant="code"):
    metadata, client = discover(), "openshift-challenging-client"
    redirect = f"{metadata['issuer']}/oauth/token/implicit"
    verifier, code_challenge = challenge()
    query = {"client_id": client, "response_type": grant, "redirect_uri": redirect}
    if grant == "code":
        assert "S256" in metadata["code_challenge_methods_supported"]
        query |= {"code_challenge": code_challenge, "code_challenge_method": "S256"}
    url = f"{metadata['authorization_endpoint']}?{urllib.parse.urlencode(query)}"
    headers = {"X-CSRF-Token": "1"}
    status, _, text, answer = Client().request("GET", url, headers=headers)
    if "WWW-Authenticate" not in answer:
        return {"status": status, "text": text}
    assert status == 401 and answer["WWW-Authenticate"] == 'Basic realm="openshift"', (status, text)
    headers["Authorization"] = "Basic " + base64.b64encode(f"{user}:{secret}".encode()).decode()
    status, location, text, answer = Client().request("GET", url, headers=headers)
    if status != 302:
        return {"status": status, "text": text, "retry": answer.get("Retry-After"), "challenge": answer.get("WWW-Authenticate")}
    assert location.startswith(redirect), location
    parts = urllib.parse.urlsplit(location)
    if grant == "token":
        found = dict(urllib.parse.parse_qsl(parts.fragment))
        assert found["token_type"] == "Bearer" and found["scope"] == "user:full", found
        return {"status": 200, "token": found["access_token"], "expires_in": int(found["expires_in"])}
    return exchange(metadata, client, redirect, dict(urllib.parse.parse_qsl(parts.query))["code"], verifier)


def sso(provider, account):
    """Follows every redirect, and answers the forms of the provider's own pages."""
    metadata, client, redirect = discover(), "openshift-cli-client", "http://127.0.0.1:9/callback"
    verifier, code_challenge = challenge()
    state = secrets.token_urlsafe(8)
    query = {"client_id": client, "response_type": "code", "redirect_uri": redirect, "state": state,
             "code_challenge": code_challenge, "code_challenge_method": "S256"}
    browser = Client()
    step = ("GET", f"{metadata['authorization_endpoint']}?{urllib.parse.urlencode(query)}", None)
    for _ in range(20):
        method, url, form = step
        if url.startswith(redirect):
            found = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query))
            assert found["state"] == state
            return exchange(metadata, client, redirect, found["code"], verifier)
        status, location, text, _ = browser.request(method, url, form)
        if location:
            step = ("GET", location, None)
        elif f'href="/login/{provider}?' in text:
            address = re.search(rf'href="(/login/{provider}\?[^"]*)"', text).group(1)
            step = ("GET", API + html.unescape(address), None)
        elif 'name="login"' in text:
            step = ("POST", url_of(text, url), {"prompt": "login", "login": account, "password": "any"})
        elif 'value="consent"' in text:
            step = ("POST", url_of(text, url), {"prompt": "consent"})
        else:
            return {"status": status, "text": text}
    return {"status": 0, "text": "redirected too often"}


def url_of(text, url):
    action = re.search(r'<form[^>]*action="([^"]*)"', text)
    return urllib.parse.urljoin(url, html.unescape(action.group(1))) if action else url


print(json.dumps({"password": password, "sso": sso}[HOW](*sys.argv[4:])))
