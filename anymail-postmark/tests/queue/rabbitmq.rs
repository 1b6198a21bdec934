//! [`RabbitMq`]: a real RabbitMQ that belongs to the test.
//!
//! It has separate ports, data, node name and epmd, so any number of them can run next to each
//! other and next to one that serves the machine.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// Where Debian installs the server itself; the one on the `PATH` is for root and changes users.
const DEBIAN: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";

/// Returns the server's program, or why it cannot be started.
pub(crate) fn installed() -> Result<PathBuf, String> {
    let on_path = env::var_os("PATH").unwrap_or_default();
    let mut folders = env::split_paths(&on_path).map(|folder| folder.join("rabbitmq-server"));
    let debian = Some(PathBuf::from(DEBIAN)).filter(|path| path.is_file());
    debian
        .or_else(|| folders.find(|path| path.is_file()))
        .ok_or("rabbitmq-server is not installed (Debian: apt-get install rabbitmq-server)".into())
}

/// Makes the port for cluster nodes, of which there are none, listen on loopback.
const ON_LOOPBACK: &str = "-kernel inet_dist_use_interface {127,0,0,1}";

/// A running server. It ends when this value is dropped or the process ends, for any reason.
pub(crate) struct RabbitMq {
    shell: Child,
    /// Its data and log.
    _folder: TempDir,
    port: u16,
}

/// Starts epmd and the server, and kills both when its input ends, which happens when the test ends
/// for any reason. The server's output then ends with the server.
const SCRIPT: &str = r#"
epmd -port "$ERL_EPMD_PORT" -address 127.0.0.1 > /dev/null 2>&1 &
epmd=$!
"$0" -noinput &
server=$!
exec > /dev/null
read -r _
kill -KILL "$server" "$epmd"
wait
"#;

impl RabbitMq {
    /// Starts a server and waits until it is ready.
    ///
    /// # Errors
    /// Returns the end of its log.
    pub(crate) fn start(server: &Path) -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let inside = |name: &str| folder.path().join(name);
        for (name, content) in [
            ("plugins", "[].\n"),
            ("rabbitmq.conf", "log.file.level = info\n"),
        ] {
            fs::write(inside(name), content).map_err(|error| error.to_string())?;
        }
        let [port, dist, epmd] = free_ports().map_err(|error| error.to_string())?;
        let shell = Command::new("sh")
            .args(["-c", SCRIPT])
            .arg(server)
            .env("HOME", folder.path()) // for Erlang's cookie
            .env("ERL_EPMD_PORT", epmd.to_string())
            .env("RABBITMQ_NODENAME", format!("anymail{port}@localhost"))
            .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODE_PORT", port.to_string())
            .env("RABBITMQ_DIST_PORT", dist.to_string())
            .env("RABBITMQ_MNESIA_BASE", inside("data"))
            .env("RABBITMQ_LOG_BASE", inside("log"))
            .env("RABBITMQ_CONFIG_FILE", inside("rabbitmq.conf"))
            .env("RABBITMQ_ADVANCED_CONFIG_FILE", inside("none"))
            .env("RABBITMQ_CONF_ENV_FILE", inside("none"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", inside("plugins"))
            .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", ON_LOOPBACK)
            // Without a shell around it, the process is the server itself.
            .env("RABBITMQ_ALLOW_INPUT", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| error.to_string())?;
        let mut started = Self {
            shell,
            _folder: folder,
            port,
        };
        started.wait()?;
        Ok(started)
    }

    /// Reads the output until the server reports that it is ready, or ends.
    fn wait(&mut self) -> Result<(), String> {
        let output = self.shell.stdout.take().ok_or("it has no output")?;
        let mut said = String::new();
        for line in BufReader::new(output).lines() {
            let line = line.map_err(|error| error.to_string())?;
            if line.contains("completed with") {
                return Ok(());
            }
            said.push_str(&line);
            said.push('\n');
        }
        Err(format!("rabbitmq-server did not start:\n{said}"))
    }

    /// The address that clients connect to.
    pub(crate) fn url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}", self.port)
    }
}

impl Drop for RabbitMq {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}

/// Ports that were free a moment ago.
fn free_ports() -> std::io::Result<[u16; 3]> {
    let listen = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let held = [listen()?, listen()?, listen()?];
    let mut ports = [0; 3];
    for (port, listener) in ports.iter_mut().zip(&held) {
        *port = listener.local_addr()?.port();
    }
    Ok(ports)
}
