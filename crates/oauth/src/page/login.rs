//! Pages to log in, to agree and to log out.
use http::StatusCode;

use super::{Html, Page};
use crate::session::CSRF_FIELD;

/// A provider to choose.
pub(crate) struct Choice {
    pub(crate) name: String,
    /// Path and query that lead to it.
    pub(crate) address: String,
}

/// Asks which provider to log in with.
pub(crate) fn choose(choices: &[Choice]) -> Page {
    let mut html = Html::default().raw("<h1>Log in with</h1><nav aria-label=\"Identity providers\">");
    for choice in choices {
        html = html
            .raw("<a class=\"button\" href=\"")
            .text(&choice.address)
            .raw("\">")
            .text(&choice.name)
            .raw("</a>");
    }
    Page::new(StatusCode::OK, "Log in", html.raw("</nav>"))
}

/// What the form for name and password says.
pub(crate) struct Prompt<'a> {
    pub(crate) status: StatusCode,
    pub(crate) provider: &'a str,
    /// Path that the form is sent to.
    pub(crate) action: &'a str,
    /// Where to go on afterwards.
    pub(crate) then: &'a str,
    pub(crate) csrf: &'a str,
    /// The name that was typed before.
    pub(crate) user: &'a str,
    /// What went wrong before; empty for nothing.
    pub(crate) problem: &'a str,
    /// Where the other providers are, if there are any.
    pub(crate) others: Option<&'a str>,
}

/// Asks for name and password.
pub(crate) fn login(prompt: &Prompt<'_>) -> Page {
    let mut html = Html::default()
        .raw("<h1>Log in to Berth</h1><p>with ")
        .text(prompt.provider)
        .raw("</p>");
    if !prompt.problem.is_empty() {
        html = html.problem(prompt.problem);
    }
    html = html
        .raw("<form method=\"post\" action=\"")
        .text(prompt.action)
        .raw("\">")
        .hidden("then", prompt.then)
        .hidden(CSRF_FIELD, prompt.csrf)
        .raw("<label for=\"username\">User name</label><input id=\"username\" name=\"username\" type=\"text\" value=\"")
        .text(prompt.user)
        .raw("\" autocomplete=\"username\" autocapitalize=\"none\" spellcheck=\"false\" required");
    // Who mistyped the password wants to type it again.
    let (name_focus, password_focus) = if prompt.user.is_empty() {
        (" autofocus>", ">")
    } else {
        (">", " autofocus>")
    };
    html = html
        .raw(name_focus)
        .raw(
            "<label for=\"password\">Password</label><input id=\"password\" name=\"password\" type=\"password\" \
             autocomplete=\"current-password\" required",
        )
        .raw(password_focus)
        .raw("<button type=\"submit\">Log in</button></form>");
    if let Some(others) = prompt.others {
        html = html
            .raw("<footer><a href=\"")
            .text(others)
            .raw("\">Log in another way</a></footer>");
    }
    Page::new(prompt.status, "Log in", html)
}

/// Asks whether a client may have what it asks for. `hidden`: what the form sends back.
pub(crate) fn approve(
    client: &str,
    user: &str,
    scopes: &[String],
    target: &str,
    hidden: &[(&str, &str)],
) -> Page {
    let mut html = Html::default()
        .raw("<h1>Allow access?</h1><p><strong>")
        .text(client)
        .raw("</strong> asks to act as <strong>")
        .text(user)
        .raw("</strong>:</p><ul>");
    for scope in scopes {
        html = html
            .raw("<li>")
            .text(meaning(scope))
            .raw(" (<code>")
            .text(scope)
            .raw("</code>)</li>");
    }
    html = html
        .raw("</ul><p>The answer goes to ")
        .text(target)
        .raw(".</p><form method=\"post\">");
    for (name, value) in hidden {
        html = html.hidden(name, value);
    }
    html = html.raw(
        "<button type=\"submit\" name=\"approve\" value=\"yes\">Allow</button>\
         <button type=\"submit\" name=\"approve\" value=\"no\" class=\"plain\">Deny</button></form>",
    );
    Page::new(StatusCode::OK, "Allow access?", html)
}

fn meaning(scope: &str) -> &'static str {
    match scope {
        "user:info" => "see who you are",
        "user:check-access" => "ask what you may do",
        _ => "do everything that you may do",
    }
}

/// Asks whether to log out.
pub(crate) fn logout(csrf: &str) -> Page {
    let html = Html::default()
        .raw("<h1>Log out?</h1><form method=\"post\" action=\"/logout\">")
        .hidden(CSRF_FIELD, csrf)
        .raw("<button type=\"submit\">Log out</button></form>");
    Page::new(StatusCode::OK, "Log out", html)
}

/// Says that this browser is forgotten.
pub(crate) fn logged_out() -> Page {
    let html = Html::default().raw(
        "<h1>Logged out</h1><p>This browser is forgotten. Tokens that were given out stay valid until they end; revoke one \
         with <code>oc logout</code> where it is used.</p><p><a href=\"/oauth/token/request\">Log in again</a></p>",
    );
    Page::new(StatusCode::OK, "Logged out", html)
}
