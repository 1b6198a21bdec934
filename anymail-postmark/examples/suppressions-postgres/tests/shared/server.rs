//! The test's own PostgreSQL server, in a temporary folder. It listens on a socket in that folder and
//! on no port.

use std::env;
use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sqlx::postgres::PgPool;
use tempfile::TempDir;

pub(crate) struct Server {
    process: Child,
    stop: Command,
    folder: TempDir,
}

impl Server {
    /// Starts a server, or returns why it cannot be started.
    pub(crate) async fn start() -> Result<Self, String> {
        let programs = installed()?;
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let user = other_user(folder.path())?;
        if let Some(user) = user {
            chown(folder.path(), Some(user), None).map_err(|error| error.to_string())?;
        }
        let data = folder.path().join("data");
        let program = |name: &str| {
            let mut command = Command::new(programs.join(name));
            if let Some(user) = user {
                command.uid(user);
            }
            command.current_dir(folder.path()).stdin(Stdio::null());
            command
        };
        let made = program("initdb")
            .args(["--auth=trust", "--username=anymail", "--encoding=UTF8"])
            .args(["--no-locale", "--no-sync", "--pgdata"])
            .arg(&data)
            .output();
        let made = made.map_err(|error| format!("initdb cannot be run: {error}"))?;
        if !made.status.success() {
            let said = String::from_utf8_lossy(&made.stderr).into_owned();
            return Err(format!("initdb failed: {said}"));
        }
        let log = fs::File::create(folder.path().join("log")).map_err(|error| error.to_string())?;
        let process = program("postgres")
            .arg("-D")
            .arg(&data)
            .arg("-k")
            .arg(folder.path())
            .args(["-c", "listen_addresses=", "-c", "fsync=off"])
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        let process = process.map_err(|error| format!("postgres cannot be run: {error}"))?;
        let mut stop = program("pg_ctl");
        stop.args(["stop", "--mode=immediate", "--wait", "--pgdata"])
            .arg(&data);
        let mut server = Self {
            process,
            stop,
            folder,
        };
        server.wait().await?;
        Ok(server)
    }

    pub(crate) fn url(&self) -> String {
        let folder = self.folder.path().display();
        format!("postgres://anymail@localhost/postgres?host={folder}")
    }

    pub(crate) async fn connect(&self) -> PgPool {
        PgPool::connect(&self.url()).await.unwrap()
    }

    async fn wait(&mut self) -> Result<(), String> {
        let started = Instant::now();
        loop {
            if let Ok(pool) = PgPool::connect(&self.url()).await {
                pool.close().await;
                return Ok(());
            }
            let ended = self.process.try_wait().ok().flatten();
            if ended.is_some() || started.elapsed() > Duration::from_secs(60) {
                let log = fs::read_to_string(self.folder.path().join("log"));
                return Err(format!(
                    "postgres did not start: {}",
                    log.unwrap_or_default()
                ));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The server stops its own child processes, which nobody else would wait for.
        let _ = self.stop.output();
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The folder of the programs.
fn installed() -> Result<PathBuf, String> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let debian = versions.flatten().map(|version| version.path().join("bin"));
    let on_path = env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = debian.chain(env::split_paths(&on_path)).collect();
    folders.retain(|folder| {
        ["initdb", "pg_ctl", "postgres"]
            .iter()
            .all(|it| folder.join(it).is_file())
    });
    let missing = "PostgreSQL's server is not installed (Debian: apt-get install postgresql)";
    folders.pop().ok_or_else(|| missing.to_owned())
}

/// Returns another user if this process belongs to root, as whom PostgreSQL refuses to run.
fn other_user(folder: &Path) -> Result<Option<u32>, String> {
    use std::os::unix::fs::MetadataExt;
    let ours = fs::metadata(folder)
        .map_err(|error| error.to_string())?
        .uid();
    if ours != 0 {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let id = |wanted: &str| {
        let mut lines = users
            .lines()
            .map(|line| line.split(':').collect::<Vec<_>>());
        let line = lines.find(|parts| parts.first() == Some(&wanted))?;
        line.get(2)?.parse().ok()
    };
    let found = id("postgres").or_else(|| id("nobody"));
    found
        .map(Some)
        .ok_or_else(|| "there is no user but root to run PostgreSQL".to_owned())
}
