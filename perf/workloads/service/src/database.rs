//! Notes kept in whichever database the address names.

use serde::{Deserialize, Serialize};
use sqlx::{FromRow, MySqlPool, PgPool, SqlitePool};

/// A pool of connections to one of the databases we know.
pub enum Database {
    Sqlite(SqlitePool),
    Postgres(PgPool),
    MySql(MySqlPool),
}

/// One note.
#[derive(Debug, Deserialize, FromRow, Serialize)]
pub struct Note {
    pub id: i64,
    pub text: String,
}

const ALL: &str = "SELECT id, text FROM notes ORDER BY id";

impl Database {
    /// Connects to `address` and creates the table of notes if it is not there.
    pub async fn open(address: &str) -> anyhow::Result<Database> {
        match address.split(':').next() {
            Some("sqlite") => {
                // One connection: each connection to an in-memory database has a database of its own.
                let pool = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1).connect(address).await?;
                sqlx::query("CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL)")
                    .execute(&pool)
                    .await?;
                Ok(Database::Sqlite(pool))
            }
            Some("postgres" | "postgresql") => {
                let pool = PgPool::connect(address).await?;
                sqlx::query(
                    "CREATE TABLE IF NOT EXISTS notes (id BIGSERIAL PRIMARY KEY, text TEXT NOT NULL)",
                )
                .execute(&pool)
                .await?;
                Ok(Database::Postgres(pool))
            }
            Some("mysql") => {
                let pool = MySqlPool::connect(address).await?;
                sqlx::query(
                    "CREATE TABLE IF NOT EXISTS notes (id BIGINT AUTO_INCREMENT PRIMARY KEY, text TEXT NOT NULL)",
                )
                .execute(&pool)
                .await?;
                Ok(Database::MySql(pool))
            }
            _ => anyhow::bail!("{address}: not the address of a database we know"),
        }
    }

    /// Adds a note.
    pub async fn add(&self, text: &str) -> anyhow::Result<Note> {
        let id = match self {
            Database::Sqlite(pool) => sqlx::query("INSERT INTO notes (text) VALUES (?)")
                .bind(text)
                .execute(pool)
                .await?
                .last_insert_rowid(),
            Database::Postgres(pool) => {
                sqlx::query_scalar("INSERT INTO notes (text) VALUES ($1) RETURNING id")
                    .bind(text)
                    .fetch_one(pool)
                    .await?
            }
            Database::MySql(pool) => {
                let done =
                    sqlx::query("INSERT INTO notes (text) VALUES (?)").bind(text).execute(pool).await?;
                i64::try_from(done.last_insert_id())?
            }
        };
        Ok(Note { id, text: text.to_owned() })
    }

    /// All notes, the oldest first.
    pub async fn all(&self) -> anyhow::Result<Vec<Note>> {
        Ok(match self {
            Database::Sqlite(pool) => sqlx::query_as(ALL).fetch_all(pool).await?,
            Database::Postgres(pool) => sqlx::query_as(ALL).fetch_all(pool).await?,
            Database::MySql(pool) => sqlx::query_as(ALL).fetch_all(pool).await?,
        })
    }
}
