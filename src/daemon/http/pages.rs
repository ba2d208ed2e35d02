//! The XML services: a menu, a form, the phone book.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Method, Response, StatusCode, Uri, header};
use tracing::debug;

use super::Server;
use super::connection::Client;
use super::files::{answer, file};
use crate::daemon::metrics;
use crate::directory::{self, Query};
use crate::model::site::base;
use crate::wire::http::query;

pub(super) async fn services(
    State(server): State<Arc<Server>>,
    Extension(client): Extension<Client>,
) -> Response<Body> {
    page(&client, "services", directory::services(&links(&server, &client)))
}

pub(super) async fn search(
    State(server): State<Arc<Server>>,
    Extension(client): Extension<Client>,
) -> Response<Body> {
    page(&client, "search", directory::search_form(&links(&server, &client)))
}

/// A search looks at every entry: it is made beside the packets of others, few at one time.
pub(super) async fn directory(
    State(server): State<Arc<Server>>,
    Extension(client): Extension<Client>,
    uri: Uri,
) -> Response<Body> {
    client.exchange.asked();
    let Ok(_maker) = server.makers.acquire().await else {
        return answer(StatusCode::SERVICE_UNAVAILABLE, &[]);
    };
    let wanted = Query::read(&query(uri.query().unwrap_or_default()));
    let all = server.directory.borrow().clone();
    let base = links(&server, &client);
    let make = move || directory::book(&all, &wanted, &base);
    match tokio::task::spawn_blocking(make).await {
        Ok(bytes) => page(&client, "directory", bytes),
        Err(_) => answer(StatusCode::INTERNAL_SERVER_ERROR, &[]),
    }
}

/// What Prometheus reads. For everybody else there is no such file.
pub(super) async fn metrics(
    State(server): State<Arc<Server>>,
    Extension(client): Extension<Client>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response<Body> {
    match server.metrics.facts().filter(|facts| facts.may_be_read_by(client.asker.ip())) {
        None => file(State(server), Extension(client), method, uri, headers).await,
        Some(facts) => {
            client.exchange.asked();
            let fields = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
            let mut response = answer(StatusCode::OK, &fields);
            *response.body_mut() = Body::from(metrics::page::text(&facts, &server.metrics));
            response
        }
    }
}

/// What URLs begin with: the server's address in the phones' files, and the port that was asked.
fn links(server: &Server, client: &Client) -> String {
    let server = server.directory.borrow().server;
    let address = SocketAddr::new(server.unwrap_or(client.local.ip()), client.local.port());
    if client.tls { format!("https://{address}") } else { base(address) }
}

/// Phones want `text/xml`, and never to keep it (phones.md §2.15).
fn page(client: &Client, name: &str, bytes: Vec<u8>) -> Response<Body> {
    client.exchange.asked();
    debug!(asker = %client.asker, page = name, bytes = bytes.len(), "http");
    let fields = [(header::CONTENT_TYPE, "text/xml"), (header::EXPIRES, "-1")];
    let mut response = answer(StatusCode::OK, &fields);
    *response.body_mut() = Body::from(bytes);
    response
}
