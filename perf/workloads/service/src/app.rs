//! The routes of the service and what their handlers share.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Query, State as Shared, WebSocketUpgrade, ws::Message};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use tower_http::compression::CompressionLayer;
use tower_http::cors::CorsLayer;
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::TraceLayer;

use crate::cache::Cache;
use crate::database::{Database, Note};
use crate::page::Pages;

/// What every handler may use.
pub struct State {
    pages: Pages,
    database: Database,
    cache: Option<Cache>,
}

impl State {
    /// Reads the templates, opens the database at `database` and the cache at `cache`.
    pub async fn open(database: &str, cache: Option<&str>) -> anyhow::Result<Arc<State>> {
        Ok(Arc::new(State {
            pages: Pages::new()?,
            database: Database::open(database).await?,
            cache: cache.map(Cache::open).transpose()?,
        }))
    }
}

/// An error on its way to the client.
pub struct Failure(anyhow::Error);

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Failure {
        Failure(error.into())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        tracing::error!(error = ?self.0, "request failed");
        (StatusCode::INTERNAL_SERVER_ERROR, self.0.to_string()).into_response()
    }
}

/// All routes, with compression, time limit and request traces around them.
pub fn router(state: Arc<State>) -> Router {
    Router::new()
        .route("/health", get(async || "ok"))
        .route("/hello/{name}", get(hello))
        .route("/picture.png", get(picture))
        .route("/notes", post(add_note).get(list_notes))
        .route("/words", post(count_words))
        .route("/echo", get(echo))
        .layer(TraceLayer::new_for_http())
        .layer(CorsLayer::permissive())
        .layer(CompressionLayer::new())
        .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, Duration::from_secs(10)))
        .with_state(state)
}

async fn hello(Shared(state): Shared<Arc<State>>, Path(name): Path<String>) -> Result<Html<String>, Failure> {
    if let Some(cache) = &state.cache
        && let Some(page) = cache.get(&name).await?
    {
        return Ok(Html(page));
    }
    let page = state.pages.hello(&name)?;
    if let Some(cache) = &state.cache {
        cache.put(&name, &page).await?;
    }
    Ok(Html(page))
}

#[derive(Deserialize)]
struct Size {
    #[serde(default = "default_size")]
    size: u32,
}

fn default_size() -> u32 {
    64
}

async fn picture(Query(Size { size }): Query<Size>) -> Result<impl IntoResponse, Failure> {
    let png = tokio::task::spawn_blocking(move || crate::picture::png(size.clamp(1, 1024))).await??;
    Ok(([(header::CONTENT_TYPE, "image/png")], png))
}

#[derive(Deserialize, Serialize)]
pub struct NewNote {
    pub text: String,
}

async fn add_note(
    Shared(state): Shared<Arc<State>>,
    Json(note): Json<NewNote>,
) -> Result<(StatusCode, Json<Note>), Failure> {
    Ok((StatusCode::CREATED, Json(state.database.add(&note.text).await?)))
}

async fn list_notes(Shared(state): Shared<Arc<State>>) -> Result<Json<Vec<Note>>, Failure> {
    Ok(Json(state.database.all().await?))
}

#[derive(Deserialize, Serialize)]
pub struct Words {
    pub text: String,
    pub pattern: String,
}

async fn count_words(Json(words): Json<Words>) -> Result<Json<serde_json::Value>, Failure> {
    let pattern = regex::Regex::new(&words.pattern)?;
    Ok(Json(serde_json::json!({ "matches": pattern.find_iter(&words.text).count() })))
}

async fn echo(upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(async |mut socket| {
        while let Some(Ok(message)) = socket.recv().await {
            if matches!(message, Message::Close(_)) || socket.send(message).await.is_err() {
                break;
            }
        }
    })
}
