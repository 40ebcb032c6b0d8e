use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::cli::args::Globals;
use crate::cli::context::{Project, Target, block_on, duration, holder};
use crate::cli::error::{self, CliError};
use crate::cli::exit::Exit;
use crate::cli::interrupt::Interrupt;
use crate::cli::migrate::plan::{Scope, view};
use crate::cli::migrate::signature::Trust;
use crate::cli::output::Output;
use crate::cli::prompt;
use crate::engine::{self, Applied, ApplyOptions, Stores};
use crate::model::config::Config;
use crate::model::event::{Event, Events};
use crate::model::lease::Holder;
use crate::model::plan::{Plan, PlanDigest};
use crate::model::report::{Report, StepOutcome};
use crate::model::signing::Signer;
use crate::plan_file::PlanFile;
use crate::render::{self, Detail};
use crate::store::StoreError;
use crate::store::redis::Limits;

/// Execute a saved plan, exactly; or plan and apply in one go
///
/// With a plan file, its steps run as they were reviewed, or not at all: a plan whose databases have
/// changed since is refused as stale. After an interruption run the same command again; it goes on where
/// it stopped. Without a file, a plan is made, shown, and applied once you say yes.
#[derive(Debug, Args)]
pub(in crate::cli) struct Apply {
    /// The plan file; without one, plan first
    #[arg(conflicts_with_all = ["to", "only", "accept_edits", "allow_lossy", "revert_unknown"])]
    plan: Option<PathBuf>,

    /// Refuse a plan that none of these signed: a file as `ssh-keygen -Y verify` takes it
    ///
    /// Without it, the signers that outpost.toml names count.
    #[arg(long, value_name = "FILE", requires = "plan")]
    allowed_signers: Option<PathBuf>,

    #[command(flatten)]
    scope: Scope,

    #[command(flatten)]
    how: How,
}

/// How a plan is applied; `cleanup` shares it.
#[derive(Debug, Args)]
pub(in crate::cli) struct How {
    #[command(flatten)]
    pub(super) run: Run,

    /// How many steps may run side by side
    #[arg(long, value_name = "N", default_value = "4", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(super) parallelism: u16,

    #[command(flatten)]
    pub(super) pace: Pace,

    /// Copy Redis keys even where maxmemory seems to leave too little room
    ///
    /// Under an allkeys-* policy the server would evict keys, so there it is refused in any case.
    #[arg(long)]
    pub(super) ignore_memory: bool,
}

/// How anything is written, be it no more than a record; `resolve` has these, too.
#[derive(Debug, Args)]
pub(in crate::cli) struct Run {
    /// Do not ask
    #[arg(long)]
    pub(super) yes: bool,

    /// Refuse a plan with another digest: sha256: and 64 hex digits, as `plan` and `show` print it
    #[arg(long, value_name = "DIGEST")]
    pub(super) expect: Option<PlanDigest>,

    /// How long to wait for another run's lease, such as 60s
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(super) lock_wait: Option<Duration>,

    /// How to report: text, or one JSON event a line
    #[arg(long, default_value = "text")]
    pub(super) format: ApplyFormat,
}

/// How hard Redis is worked by whatever reads or writes many keys.
#[derive(Debug, Args)]
pub(in crate::cli) struct Pace {
    /// How long another client of Redis may have to wait behind this run, such as 5ms
    #[arg(long, value_name = "TIME", default_value = "1ms", value_parser = budget)]
    pub(super) latency_budget: Duration,

    /// The most Redis keys to deal with in a second; as many as go without
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) max_keys_per_second: Option<u32>,
}

/// A time that batches can be cut to.
fn budget(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("a batch takes some time: 1ms is the least".to_owned()),
        budget => Ok(budget),
    }
}

/// How a run is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ApplyFormat {
    /// For people
    Text,
    /// One event a line
    Json,
}

impl Apply {
    pub(super) fn run(self, globals: &Globals, output: &Output) -> Result<Exit, CliError> {
        let Some(path) = &self.plan else {
            let project = Project::load_limited(globals, self.how.limits())?;
            let trust = self.trust(&project.config, globals)?;
            trust.allow_unsaved("outpost migrate plan -out FILE --sign KEY")?;
            let plan = block_on(self.scope.plan(&project))?;
            return self.how.confirm_and_apply(
                &project.stores,
                &plan,
                "outpost migrate apply",
                output,
            );
        };
        let file = PlanFile::open(path)?;
        // The plan has all that runs: whether the schema folder is there does not matter any more.
        let target = Target::load(globals, self.how.limits())?;
        let signer = self.trust(&target.config, globals)?.signer(&file)?;
        let plan = file.plan()?;
        if let Some(signer) = &signer
            && self.how.run.format == ApplyFormat::Text
        {
            output.tell(|out, style| render::signed_by(out, style, signer));
        }
        let again = format!("outpost migrate apply {}", path.display());
        // The review was the question: a saved plan is applied without another one.
        self.how
            .apply(&target.stores, &plan, signer, &again, output)
    }

    /// Whose signatures count.
    fn trust(&self, config: &Config, globals: &Globals) -> Result<Trust, CliError> {
        Trust::new(self.allowed_signers.as_deref(), &config.signing, globals)
    }
}

impl How {
    /// How hard Redis is worked.
    pub(super) fn limits(&self) -> Limits {
        Limits {
            latency_budget: self.pace.latency_budget,
            max_keys_per_second: self.pace.max_keys_per_second,
            ignore_memory: self.ignore_memory,
        }
    }

    /// Shows a plan that was made just now, asks, and applies it.
    pub(super) fn confirm_and_apply(
        &self,
        stores: &Stores,
        plan: &Plan,
        again: &str,
        output: &Output,
    ) -> Result<Exit, CliError> {
        if self.run.format == ApplyFormat::Text {
            output
                .print(|out, style| render::plan(out, style, &view(plan, None), Detail::Brief))?;
        }
        if plan.decision.is_empty() {
            if self.run.format == ApplyFormat::Json {
                nothing_done(plan, again, output)?;
            }
            return Ok(Exit::Done);
        }
        if !self.run.yes {
            prompt::confirm(output, "Apply this plan?")?;
        }
        self.apply(stores, plan, None, again, output)
    }

    /// Applies a plan and reports. `signer` is who signed it, and `again` the command that resumes.
    fn apply(
        &self,
        stores: &Stores,
        plan: &Plan,
        signer: Option<Signer>,
        again: &str,
        output: &Output,
    ) -> Result<Exit, CliError> {
        self.check_digest(plan)?;
        let events = Reporter::new(self.run.format, output);
        block_on(async {
            let interrupt = Interrupt::listen()?;
            let options = ApplyOptions {
                holder: Holder {
                    signer: signer.map(|signer| signer.to_string()),
                    ..holder()
                },
                lease_id: uuid::Uuid::new_v4().to_string(),
                parallelism: usize::from(self.parallelism),
                lock_wait: self.run.lock_wait,
            };
            let outcome = engine::apply(stores, plan, &options, &events, interrupt.token()).await;
            events.finish();
            let interrupted = interrupt.exit();
            let applied = match outcome {
                Ok(applied) => applied,
                Err(error) => {
                    return match interrupted {
                        Some(exit) => Ok(exit),
                        None => Err(error.into()),
                    };
                }
            };
            let text = self.run.format == ApplyFormat::Text;
            match &applied {
                Applied::NothingToDo if text => {
                    output.print(|out, style| {
                        render::plan(out, style, &view(plan, None), Detail::Brief)
                    })?;
                }
                Applied::Already if text => {
                    output.print(|out, style| render::already_applied(out, style, plan.digest))?;
                }
                Applied::Ran(report) if text && report.complete() && output.is_one_terminal() => {
                    output.print(|out, style| render::sum_up(out, style, report))?;
                }
                Applied::Ran(report) if text => {
                    output.print(|out, style| render::report(out, style, report, again))?;
                }
                Applied::Ran(report) => {
                    output.print(|out, _| render::report_json(out, report, again))?
                }
                Applied::NothingToDo | Applied::Already => nothing_done(plan, again, output)?,
            }
            Ok(match &applied {
                Applied::Ran(report) if !report.complete() => {
                    interrupted.unwrap_or_else(|| exit_of(report))
                }
                _ => Exit::Done,
            })
        })
    }

    fn check_digest(&self, plan: &Plan) -> Result<(), CliError> {
        match self.run.expect {
            Some(expected) if expected != plan.digest => Err(CliError::OtherDigest {
                expected,
                found: plan.digest,
            }),
            _ => Ok(()),
        }
    }
}

/// The report, for programs, of a run that had nothing to do.
fn nothing_done(plan: &Plan, again: &str, output: &Output) -> Result<(), CliError> {
    let report = Report {
        plan: plan.digest,
        steps: Vec::new(),
    };
    output.print(|out, _| render::report_json(out, &report, again))
}

/// The exit code of a run that did not reach its end, by the first error.
fn exit_of(report: &Report<StoreError>) -> Exit {
    report
        .steps
        .iter()
        .find_map(|step| match &step.outcome {
            StepOutcome::Failed(error) => Some(error::exit_of(error)),
            _ => None,
        })
        .unwrap_or(Exit::Error)
}

/// Where the events of a run go: bars on a terminal, plain lines elsewhere, JSON on stdout.
enum Reporter {
    Bars(render::Progress),
    Lines(render::Lines<std::io::Stderr>),
    Json(render::JsonLines<std::io::Stdout>),
}

impl Reporter {
    fn new(format: ApplyFormat, output: &Output) -> Self {
        let style = output.stderr_style();
        match format {
            ApplyFormat::Json => Self::Json(render::JsonLines::new(std::io::stdout())),
            ApplyFormat::Text if output.live() => Self::Bars(render::Progress::new(
                indicatif::ProgressDrawTarget::stderr(),
                style,
            )),
            ApplyFormat::Text => Self::Lines(render::Lines::new(std::io::stderr(), style)),
        }
    }

    fn finish(&self) {
        if let Self::Bars(bars) = self {
            bars.finish();
        }
    }
}

impl Events for Reporter {
    fn emit(&self, event: Event) {
        match self {
            Self::Bars(bars) => bars.emit(event),
            Self::Lines(lines) => lines.emit(event),
            Self::Json(lines) => lines.emit(event),
        }
    }
}
