//! The self-check: the service asks itself for everything it has.

use anyhow::{Context, ensure};
use futures::future::try_join_all;
use uuid::Uuid;

use crate::app::{self, NewNote, Words};
use crate::database::Note;
use crate::{loopback, picture, rpc};

/// Serves on a free port, asks for everything, prints each answer. The output is the same every time.
pub async fn run() -> anyhow::Result<()> {
    let state = app::State::open("sqlite::memory:", None).await?;
    let listener = tokio::net::TcpListener::bind(loopback(0)).await?;
    let base = format!("http://{}", listener.local_addr()?);
    let server = tokio::spawn(async move { axum::serve(listener, app::router(state)).await });
    let client = reqwest::Client::builder().no_proxy().build()?;

    let health = client.get(format!("{base}/health")).send().await?.error_for_status()?.text().await?;
    println!("health: {health}");

    let page = client.get(format!("{base}/hello/world")).send().await?.error_for_status()?.text().await?;
    println!("page: {}", page.lines().nth(2).context("the page is too short")?);

    let sizes = try_join_all([16, 64, 200].map(async |size| {
        let answer = client.get(format!("{base}/picture.png?size={size}")).send().await?;
        picture::dimensions(&answer.error_for_status()?.bytes().await?)
    }))
    .await?;
    println!("pictures: {sizes:?}");

    for text in ["first", "second"] {
        let note = NewNote { text: text.to_owned() };
        let answer = client.post(format!("{base}/notes")).json(&note).send().await?;
        let note: Note = answer.error_for_status()?.json().await?;
        println!("note {}: {}", note.id, note.text);
    }
    let notes: Vec<Note> = client.get(format!("{base}/notes")).send().await?.json().await?;
    println!("notes: {}", notes.len());

    let words = Words { text: "one two three".to_owned(), pattern: r"\bt\w+".to_owned() };
    let answer = client.post(format!("{base}/words")).json(&words).send().await?;
    println!("words: {}", answer.error_for_status()?.text().await?);

    let (address, rpc_server) = rpc::start(loopback(0)).await?;
    println!("grpc status: {}", rpc::ask(address).await?);

    ensure!(Uuid::now_v7() != Uuid::new_v4(), "two new identifiers are the same");
    let day = chrono::NaiveDate::from_ymd_opt(2000, 2, 28).and_then(|day| day.succ_opt());
    println!("day: {}", day.context("no such day")?);
    println!("panic: {}", caught_panic());

    server.abort();
    rpc_server.abort();
    println!("self-check passed");
    Ok(())
}

/// Shows that unwinding works: the message of a panic that was thrown and caught.
fn caught_panic() -> String {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let caught = std::panic::catch_unwind(|| {
        let text = std::hint::black_box("not a number");
        text.parse::<u32>().expect("caught")
    });
    std::panic::set_hook(hook);
    match caught {
        Ok(number) => format!("none, but {number}"),
        Err(payload) => payload.downcast_ref::<String>().cloned().unwrap_or_default(),
    }
}
