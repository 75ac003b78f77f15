//! Pages that give a token to a person.
use http::StatusCode;

use super::{Html, Page};
use crate::session::CSRF_FIELD;

/// Asks whether to show a token: not before somebody wants to see it, and looks around first.
pub(crate) fn ask_to_show(code: &str, csrf: &str) -> Page {
    let html = Html::default()
        .raw(
            "<h1>You are logged in</h1><p>A token lets a command-line client act as you. Whoever sees it can do the same.</p>\
             <form method=\"post\" action=\"/oauth/token/display\">",
        )
        .hidden("code", code)
        .hidden(CSRF_FIELD, csrf)
        .raw("<button type=\"submit\">Display token</button></form>");
    Page::new(StatusCode::OK, "Your token", html)
}

/// A token and how to use it.
pub(crate) struct Shown<'a> {
    pub(crate) token: &'a str,
    pub(crate) server: &'a str,
    /// Hours until it ends; none if it does not.
    pub(crate) hours: Option<i64>,
    pub(crate) csrf: &'a str,
}

/// Shows a token.
pub(crate) fn show(shown: &Shown<'_>) -> Page {
    let end = match shown.hours {
        None => "It does not expire".to_owned(),
        Some(1) => "It expires in an hour".to_owned(),
        Some(hours) => format!("It expires in {hours} hours"),
    };
    let html = Html::default()
        .raw("<h1>Your token is</h1><pre>")
        .text(shown.token)
        .raw("</pre><p>")
        .text(&end)
        .raw(
            ", and it is not shown again. <code>oc logout</code> revokes it.</p>\
             <h2>Log in with this token</h2><pre>oc login --token=",
        )
        .text(shown.token)
        .raw(" --server=")
        .text(shown.server)
        .raw("</pre><h2>Use it with the API</h2><pre>curl -H \"Authorization: Bearer ")
        .text(shown.token)
        .raw("\" \"")
        .text(shown.server)
        .raw(
            "/apis/user.openshift.io/v1/users/~\"</pre><footer><p><a href=\"/oauth/token/request\">Request another token</a></p>\
             <form method=\"post\" action=\"/logout\">",
        )
        .hidden(CSRF_FIELD, shown.csrf)
        .raw("<button type=\"submit\" class=\"plain\">Log out</button></form></footer>");
    Page::new(StatusCode::OK, "Your token", html).wide()
}

/// For people who open what is meant for programs.
pub(crate) fn arrived() -> Page {
    let html = Html::default().raw(
        "<h1>This page is for programs</h1><p>A command-line client that asks for a token is sent here, and finds its token in \
         the address, after the <code>#</code>. Nothing of it reaches the server or this page.</p>\
         <p>If you want a token for yourself, <a href=\"/oauth/token/request\">request one</a>.</p>",
    );
    Page::new(StatusCode::OK, "For programs", html)
}
