use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::time::{Duration, Instant};

use clap::Args;

use crate::cli::args::Globals;
use crate::cli::context::{Project, block_on, duration};
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::output::Output;
use crate::engine::Depth;
use crate::model::status::{Gate, statuses};
use crate::render;

/// Start the application, but only when nothing is pending
///
/// When the databases are at the desired version, this process becomes the command: same pid, same signals,
/// its own exit code. Otherwise it prints what is pending, and exits with 3. Reads only.
#[derive(Debug, Args)]
pub(super) struct Serve {
    /// Wait this long for the databases to get there, such as 60s
    #[arg(long, value_name = "TIME", value_parser = duration)]
    wait: Option<Duration>,

    /// The command and its arguments; [serve] command in outpost.toml without any
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<std::ffi::OsString>,
}

/// How often a waiting gate looks again.
const POLL: Duration = Duration::from_millis(500);

impl Serve {
    pub(super) fn run(self, globals: &Globals, output: &Output) -> Result<Exit, CliError> {
        let project = Project::load(globals)?;
        let command = self.command(&project);
        let Some((program, arguments)) = command.split_first() else {
            return Err(CliError::Usage(
                "there is no command to start: pass one after --, or set [serve] command in outpost.toml".to_owned(),
            ));
        };
        let gate = block_on(async {
            let mut gate = self.await_gate(&project, output).await?;
            // That it is closed is known already; whoever may not read why is told that all the same.
            let _ = project.recall_failures(&mut gate.blocking).await;
            Ok(gate)
        })?;
        if !gate.open() {
            output.tell(|out, style| render::gate(out, style, &gate));
            return Ok(Exit::Pending);
        }
        if gate.warns() {
            output.tell(|out, style| render::gate_ahead(out, style, &gate));
        }
        let source = Command::new(program).args(arguments).exec();
        Err(CliError::Command {
            command: program.to_string_lossy().into_owned(),
            source,
        })
    }

    fn command(&self, project: &Project) -> Vec<std::ffi::OsString> {
        if !self.command.is_empty() {
            return self.command.clone();
        }
        project
            .config
            .serve
            .command
            .iter()
            .map(|word| word.expose().into())
            .collect()
    }

    /// Looks at the gate until it is open, or the time is up. While there is time left, a server that
    /// cannot be reached yet is waited for too.
    async fn await_gate(&self, project: &Project, output: &Output) -> Result<Gate, CliError> {
        let deadline = Instant::now() + self.wait.unwrap_or_default();
        let mut announced = false;
        loop {
            let gate = look(project).await;
            let open = gate.as_ref().is_ok_and(Gate::open);
            if open || Instant::now() >= deadline {
                return gate;
            }
            if !announced {
                output.tell(|out, style| match &gate {
                    Ok(gate) => render::gate_waiting(out, style, gate),
                    Err(error) => render::remark(out, style, &format!("waiting: {error}")),
                });
                announced = true;
            }
            tokio::time::sleep(POLL.min(deadline.saturating_duration_since(Instant::now()))).await;
        }
    }
}

async fn look(project: &Project) -> Result<Gate, CliError> {
    let desired = project.desired(None)?;
    let observed = project.observe(Depth::Ledgers).await?;
    let statuses = statuses(&project.catalog, &observed, &project.desired_ids(&desired));
    Ok(Gate::new(
        &desired.version,
        &statuses,
        &project.catalog,
        &observed,
        project.config.serve.ahead,
    ))
}
