//! The served tree: what TFTP gives, by GET and HEAD.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, Method, Response, StatusCode, Uri, header};
use bytes::Bytes;
use tracing::debug;

use super::Server;
use super::connection::Client;
use super::exchange::Sent;
use crate::daemon::event::{Outcome, Ticket, Transfer};
use crate::daemon::now;
use crate::daemon::serve::{Found, Unreadable, Version};
use crate::wire::http::{Part, http_date, matches, media_type, modified, name, part};
use crate::wire::tftp::printable;

/// Answers a request for a file.
pub(super) async fn file(
    State(server): State<Arc<Server>>,
    Extension(mut client): Extension<Client>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response<Body> {
    client.exchange.asked();
    client.agent = headers.get(header::USER_AGENT).map(|agent| printable(agent.as_bytes()));
    let asked = uri.path();
    let shown = |name: &[u8]| printable(name.get(..128).unwrap_or(name));
    if method != Method::GET && method != Method::HEAD {
        let text = format!("{} is not carried out", printable(method.as_str().as_bytes()));
        server.refused(&client, shown(asked.as_bytes()), Outcome::Refused(text));
        return answer(StatusCode::METHOD_NOT_ALLOWED, &[(header::ALLOW, "GET, HEAD")]);
    }
    let Some(name) = name(asked) else {
        server.refused(&client, shown(asked.as_bytes()), Outcome::NotFound);
        return answer(StatusCode::NOT_FOUND, &[]);
    };
    let request = Request { server: &server, client: &client, head: method == Method::HEAD };
    let request = Asked { request, name: shown(&name), headers: &headers };
    match server.catalog.find(client.asker, &name) {
        Found::Body { bytes, ticket } => request.body(&bytes, ticket),
        Found::Static(path) => match request.fixed(path).await {
            Ok(response) => response,
            Err(why) => request.unreadable(why),
        },
        // A connection waits for some answer.
        Found::Missing | Found::Ignored => request.unreadable(Unreadable::Missing),
    }
}

struct Request<'a> {
    server: &'a Server,
    client: &'a Client,
    head: bool,
}

/// A request for a name that may be.
struct Asked<'a> {
    request: Request<'a>,
    /// Cleaned for logs.
    name: String,
    headers: &'a HeaderMap,
}

/// What is known of a file before its bytes are.
struct Entity {
    tag: String,
    /// Last change, seconds since 1970; none for what is made from text.
    changed: Option<i64>,
    length: usize,
}

/// What to answer.
enum Reply {
    NotModified,
    Outside,
    Range(Range<usize>, bool),
}

impl Asked<'_> {
    fn body(&self, bytes: &Bytes, ticket: Ticket) -> Response<Body> {
        let tag = format!("\"{}\"", ticket.digest);
        let entity = Entity { tag, changed: None, length: bytes.len() };
        self.send(&entity, self.reply(&entity), bytes, Some(ticket))
    }

    /// A static file. It is read only when its bytes are wanted.
    async fn fixed(&self, path: PathBuf) -> Result<Response<Body>, Unreadable> {
        let statics = &self.request.server.statics;
        let entity = entity(statics.version(path.clone()).await?);
        let reply = self.reply(&entity);
        if self.request.head || !matches!(reply, Reply::Range(..)) {
            return Ok(self.send(&entity, reply, &Bytes::new(), None));
        }
        let (bytes, version) = statics.load_version(path).await?;
        let entity = self::entity(version);
        Ok(self.send(&entity, self.reply(&entity), &bytes, None))
    }

    fn header(&self, name: HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    fn reply(&self, entity: &Entity) -> Reply {
        let same = match self.header(header::IF_NONE_MATCH) {
            Some(tags) => matches(tags, &entity.tag),
            None => match (self.header(header::IF_MODIFIED_SINCE), entity.changed) {
                (Some(since), Some(changed)) => !modified(since, changed),
                _ => false,
            },
        };
        if same {
            return Reply::NotModified;
        }
        let whole = Reply::Range(0..entity.length, false);
        let Some(range) = self.header(header::RANGE).filter(|_| !self.request.head) else {
            return whole;
        };
        let still = self.header(header::IF_RANGE).is_none_or(|given| {
            given == entity.tag || Some(given) == entity.changed.and_then(http_date).as_deref()
        });
        match part(range, entity.length) {
            Part::Bytes(range) if still => Reply::Range(range, true),
            Part::Outside if still => Reply::Outside,
            _ => whole,
        }
    }

    fn send(
        &self,
        entity: &Entity,
        reply: Reply,
        bytes: &Bytes,
        ticket: Option<Ticket>,
    ) -> Response<Body> {
        let changed = entity.changed.and_then(http_date);
        let mut fields = vec![(header::ETAG, entity.tag.as_str())];
        fields.extend(changed.as_deref().map(|date| (header::LAST_MODIFIED, date)));
        let (range, is_part) = match reply {
            Reply::NotModified => return answer(StatusCode::NOT_MODIFIED, &fields),
            Reply::Outside => {
                let range = format!("bytes */{}", entity.length);
                fields.push((header::CONTENT_RANGE, &range));
                return answer(StatusCode::RANGE_NOT_SATISFIABLE, &fields);
            }
            Reply::Range(range, is_part) => (range, is_part),
        };
        let length = range.len().to_string();
        let place =
            format!("bytes {}-{}/{}", range.start, range.end.saturating_sub(1), entity.length);
        fields.push((header::ACCEPT_RANGES, "bytes"));
        fields.push((header::CONTENT_TYPE, media_type(&self.name)));
        fields.push((header::CONTENT_LENGTH, &length));
        if is_part {
            fields.push((header::CONTENT_RANGE, &place));
        }
        let status = if is_part { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
        let mut response = answer(status, &fields);
        if self.request.head {
            return response;
        }
        let all = range.len() == entity.length;
        let bytes = bytes.get(range.clone()).map(|_| bytes.slice(range)).unwrap_or_default();
        *response.body_mut() = if all { self.watched(bytes, ticket) } else { Body::from(bytes) };
        response
    }

    /// The whole file: how it ends is told.
    fn watched(&self, bytes: Bytes, ticket: Option<Ticket>) -> Body {
        let client = self.request.client;
        let (name, agent) = (self.name.clone(), client.agent.clone());
        let sent = Sent { name, ticket, bytes: bytes.len() as u64, agent };
        client.exchange.body(bytes, sent)
    }

    fn unreadable(&self, why: Unreadable) -> Response<Body> {
        let (status, outcome) = match why {
            Unreadable::Missing => (StatusCode::NOT_FOUND, Outcome::NotFound),
            Unreadable::Later(why) => (StatusCode::SERVICE_UNAVAILABLE, Outcome::Failed(why)),
            Unreadable::Never(why) => (StatusCode::FORBIDDEN, Outcome::Failed(why)),
        };
        self.request.server.refused(self.request.client, self.name.clone(), outcome);
        answer(status, &[])
    }
}

fn entity(version: Version) -> Entity {
    let Version { length, changed: (seconds, nanos) } = version;
    let tag = format!("\"{length:x}-{seconds:x}-{nanos:x}\"");
    Entity { tag, changed: Some(seconds), length: usize::try_from(length).unwrap_or(usize::MAX) }
}

/// A response without a body.
pub(super) fn answer(status: StatusCode, fields: &[(HeaderName, &str)]) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    for (name, value) in fields {
        match value.parse() {
            Ok(value) => drop(response.headers_mut().insert(name, value)),
            Err(_) => debug!(%name, "a header field that cannot be sent"),
        }
    }
    response
}

impl Server {
    /// A request that got no bytes.
    fn refused(&self, client: &Client, name: String, outcome: Outcome) {
        let (asker, at, agent) = (client.asker, now(), client.agent.clone());
        self.report(Transfer {
            asker,
            name,
            ticket: None,
            outcome,
            bytes: 0,
            millis: 0,
            at,
            agent,
        });
    }
}
