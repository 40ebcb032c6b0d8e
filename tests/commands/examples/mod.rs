//! Every example is what its users get: planned, applied, verified, started and taken back with the real
//! binary against real servers.

mod ci;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use outpost::sandbox::RedisServer;
use tempfile::TempDir;

use crate::support::{Database, fresh_database, fresh_redis, redis_cmd};

/// A copy of a project, and databases of its own.
struct Project {
    folder: TempDir,
    database: Database,
    redis: RedisServer,
}

impl Project {
    fn new(example: &Path) -> Self {
        let folder = TempDir::new().unwrap();
        copy(example, folder.path());
        let project = Self {
            folder,
            database: fresh_database(),
            redis: fresh_redis(),
        };
        if let Ok(seed) = fs::read_to_string(example.join("seed.redis")) {
            for line in seed.lines() {
                redis_cmd(&project.redis, &line.split(' ').collect::<Vec<_>>());
            }
        }
        project
    }

    /// A program in the project's folder, with its databases in the environment.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.folder.path())
            .env("DATABASE_URL", &self.database.url)
            .env("REDIS_URL", self.redis.url())
            .env_remove("DIRECT_URL")
            .env_remove("OUTPOST_CONFIG");
        command
    }

    fn expect(&self, code: i32, arguments: &[&str]) -> String {
        let program = env!("CARGO_BIN_EXE_outpost");
        let output = self.command(program).args(arguments).output().unwrap();
        let (out, err) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        let found = output.status.code();
        assert_eq!(
            found,
            Some(code),
            "outpost {}\n{out}{err}",
            arguments.join(" ")
        );
        out.into_owned()
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let (entry, target) = {
            let entry = entry.unwrap();
            (entry.path(), to.join(entry.file_name()))
        };
        if entry.is_dir() {
            fs::create_dir(&target).unwrap();
            copy(&entry, &target);
        } else {
            fs::copy(&entry, &target).unwrap();
        }
    }
}

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")
}

/// The folders of examples, sorted, that hold an outpost.toml.
fn projects() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = fs::read_dir(examples())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|folder| folder.join("outpost.toml").is_file())
        .collect();
    folders.sort();
    folders
}

/// The name of the first version that a project declares.
fn first_version(example: &Path) -> Option<String> {
    let text = fs::read_to_string(example.join("schema/versions.toml")).ok()?;
    let file: toml::Table = text.parse().unwrap();
    Some(file["version"][0]["name"].as_str().unwrap().to_owned())
}

#[test]
fn every_project_is_reached_by_a_saved_plan_and_passes_its_gate() {
    assert_eq!(projects().len(), 3);
    for example in projects() {
        let project = Project::new(&example);
        project.expect(3, &["serve", "--", "true"]);
        project.expect(
            2,
            &["migrate", "plan", "-detailed-exitcode", "-out", "plan.bin"],
        );
        project.expect(0, &["migrate", "show", "plan.bin"]);
        project.expect(0, &["migrate", "apply", "plan.bin"]);
        project.expect(0, &["migrate", "apply", "plan.bin"]);
        project.expect(0, &["migrate", "plan", "-detailed-exitcode"]);
        project.expect(0, &["migrate", "verify"]);
        project.expect(0, &["migrate", "cleanup", "--yes"]);
        project.expect(0, &["migrate", "verify"]);
        let started = project.expect(0, &["serve", "--", "echo", "started"]);
        assert_eq!(started, "started\n", "{}", example.display());
    }
}

#[test]
fn a_project_with_versions_goes_back_to_its_first_one_and_up_again() {
    let versioned: Vec<_> = projects()
        .into_iter()
        .filter_map(|example| Some((first_version(&example)?, example)))
        .collect();
    assert_eq!(versioned.len(), 2);
    for (first, example) in versioned {
        let project = Project::new(&example);
        project.expect(0, &["migrate", "apply", "--yes"]);
        project.expect(0, &["migrate", "plan", "--to", &first, "-out", "back.bin"]);
        project.expect(0, &["migrate", "apply", "back.bin"]);
        project.expect(0, &["migrate", "list", "--exit-code", "--to", &first]);
        project.expect(0, &["migrate", "verify"]);
        project.expect(3, &["serve", "--", "true"]);
        project.expect(0, &["migrate", "apply", "--yes"]);
        project.expect(0, &["migrate", "verify"]);
        project.expect(0, &["serve", "--", "true"]);
    }
}

/// The commands of a recipe that call outpost: lists of words, as YAML shares them with JSON.
fn commands(recipe: &str) -> Vec<Vec<String>> {
    fs::read_to_string(examples().join(recipe))
        .unwrap()
        .lines()
        .filter_map(|line| line.trim().strip_prefix("command: "))
        .map(|list| serde_json::from_str(list).unwrap())
        .collect()
}

#[test]
fn the_commands_of_the_recipes_work_in_their_order() {
    for (recipes, expected) in [
        (&["kubernetes/migrate.yaml", "kubernetes/app.yaml"][..], 2),
        (&["docker-compose/compose.yaml"][..], 2),
    ] {
        let project = Project::new(&examples().join("cross-store"));
        let commands: Vec<_> = recipes.iter().flat_map(|recipe| commands(recipe)).collect();
        assert_eq!(commands.len(), expected, "{recipes:?}");
        for command in commands {
            let (program, arguments) = command.split_first().unwrap();
            assert_eq!(program, "outpost");
            // What is started behind the gate is not ours.
            let ours = arguments
                .iter()
                .position(|word| word == "--")
                .unwrap_or(arguments.len());
            let mut arguments: Vec<&str> = arguments[..ours].iter().map(String::as_str).collect();
            if arguments.first() == Some(&"serve") {
                arguments.extend(["--", "true"]);
            }
            project.expect(0, &arguments);
        }
    }
}

#[test]
fn what_was_reviewed_is_applied_and_nothing_else() {
    let project = Project::new(&examples().join("cross-store"));
    copy(&examples().join("review"), project.folder.path());
    let run = |words: &[&str]| {
        let folder = Path::new(env!("CARGO_BIN_EXE_outpost")).parent().unwrap();
        let path = std::env::var("PATH").unwrap();
        let output = project
            .command("sh")
            .args(words)
            .env("PATH", format!("{}:{path}", folder.display()))
            .output()
            .unwrap();
        (output.status.code(), format!("{output:?}"))
    };
    let (code, said) = run(&["plan.sh"]);
    assert_eq!(code, Some(0), "{said}");
    let plan = project.expect(0, &["migrate", "show", "--format", "json", "plan.bin"]);
    let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
    let digest = plan["digest"].as_str().unwrap();
    let comment = fs::read_to_string(project.folder.path().join("plan.md")).unwrap();
    assert!(comment.contains(digest), "{comment}");

    let (code, said) = run(&["apply.sh", &"0".repeat(64)]);
    assert_eq!(code, Some(1), "{said}");
    project.expect(3, &["serve", "--", "true"]);

    let (code, said) = run(&["apply.sh", digest]);
    assert_eq!(code, Some(0), "{said}");
    project.expect(0, &["serve", "--", "true"]);
}
