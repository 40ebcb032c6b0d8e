//! The recipes for CI: every shell step is run as the service would, against real databases. What talks to the
//! service is a fake on the PATH that keeps the comments and writes down its calls.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::{Project, examples};

/// A project under CI: the folder is the checkout, and stays between jobs.
struct Service {
    project: Project,
    /// What the service keeps: comments, artifacts, calls.
    fake: tempfile::TempDir,
    environment: BTreeMap<&'static str, &'static str>,
}

/// How a job ended: the exit code of its first failed step, or 0, and all that it said.
struct Job {
    code: i32,
    said: String,
}

impl Job {
    #[track_caller]
    fn exits(self, code: i32, words: &str) {
        assert_eq!(self.code, code, "{}", self.said);
        assert!(self.said.contains(words), "{words}: {}", self.said);
    }
}

impl Service {
    fn new(environment: &[(&'static str, &'static str)], comment: Value) -> Self {
        let service = Self {
            project: Project::new(&examples().join("cross-store")),
            fake: tempfile::TempDir::new().unwrap(),
            environment: environment.iter().copied().collect(),
        };
        service.keep("comments.json", &json!([comment]));
        service.keep("pulls.json", &json!([]));
        service.keep("runs.json", &json!([{ "databaseId": 99 }]));
        service
    }

    fn keep(&self, name: &str, value: &Value) {
        fs::write(self.fake.path().join(name), value.to_string()).unwrap();
    }

    fn comments(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.fake.path().join("comments.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    /// The calls so far that hold these words.
    fn calls(&self, words: &str) -> usize {
        let calls = fs::read_to_string(self.fake.path().join("calls")).unwrap();
        calls.lines().filter(|line| line.contains(words)).count()
    }

    /// Runs a script as both services do: by bash, to the first command that fails.
    fn script(&self, script: &str, variables: &BTreeMap<String, String>) -> Job {
        let program = Path::new(env!("CARGO_BIN_EXE_outpost")).parent().unwrap();
        let fakes = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/commands/examples/fakes");
        let path = std::env::var("PATH").unwrap();
        let path = format!("{}:{}:{path}", fakes.display(), program.display());
        let mut command = self.project.command("bash");
        command.args(["--noprofile", "--norc", "-eo", "pipefail", "-c", script]);
        command.env("PATH", path).env("FAKE", self.fake.path());
        command.envs(&self.environment).envs(variables);
        let output = command.output().unwrap();
        let said = [output.stdout, output.stderr].map(|s| String::from_utf8(s).unwrap());
        Job {
            code: output.status.code().unwrap(),
            said: said.concat(),
        }
    }

    /// What the two expressions of an address stand for, whoever uses it.
    fn address(&self, name: &str) -> String {
        match name.contains("DATABASE") {
            true => self.project.database.url.clone(),
            false => self.project.redis.url().to_owned(),
        }
    }

    /// The job of a workflow of GitHub's.
    fn github(&self, file: &str) -> Job {
        let workflow = recipe(&format!("ci/github/{file}.yml"));
        let job = &workflow["jobs"][file];
        assert_eq!(job["defaults"]["run"]["shell"], "bash");
        let mut said = String::new();
        for step in job["steps"].as_array().unwrap() {
            let Some(script) = step["run"].as_str() else {
                self.action(step);
                continue;
            };
            // Text of a pull request that is put into a script is run as a part of it.
            assert!(!script.contains("${{"), "{script}");
            let mut variables = BTreeMap::new();
            for env in [&job["env"], &step["env"]] {
                for (name, value) in env.as_object().into_iter().flatten() {
                    variables.insert(name.clone(), self.expression(value.as_str().unwrap()));
                }
            }
            let step = self.script(script, &variables);
            said += &step.said;
            if step.code != 0 {
                return Job { said, ..step };
            }
        }
        Job { code: 0, said }
    }

    fn expression(&self, text: &str) -> String {
        let name = text
            .strip_prefix("${{ ")
            .and_then(|rest| rest.strip_suffix(" }}"));
        match name.unwrap_or_else(|| panic!("{text} is no expression")) {
            "github.token" => "a token".to_owned(),
            "github.event.pull_request.number" => "7".to_owned(),
            secret => self.address(secret.strip_prefix("secrets.").unwrap()),
        }
    }

    /// A step that is an action of GitHub's own.
    fn action(&self, step: &Value) {
        let uses = step["uses"].as_str().unwrap();
        match uses.split_once('@').unwrap().0 {
            "actions/checkout" => {}
            "actions/upload-artifact" => {
                let name = step["with"]["name"].as_str().unwrap();
                let folder = self.fake.path().join("artifacts").join(name);
                fs::create_dir_all(&folder).unwrap();
                for file in step["with"]["path"].as_str().unwrap().lines() {
                    let kept = self.project.folder.path().join(file);
                    fs::copy(kept, folder.join(file)).unwrap();
                }
            }
            other => panic!("{other} is not known here"),
        }
    }

    /// A job of GitLab's: one script of all its lines, and artifacts where it succeeds.
    fn gitlab(&self, name: &str) -> Job {
        let recipe = recipe("ci/gitlab/gitlab-ci.yml");
        let job = &recipe[name];
        let lines = job["script"].as_array().unwrap();
        let lines: Vec<&str> = lines.iter().map(|line| line.as_str().unwrap()).collect();
        let variables = job["variables"].as_object().unwrap();
        let variables = variables
            .iter()
            .map(|(name, value)| (name.clone(), self.address(value.as_str().unwrap())));
        let ended = self.script(&lines.join("\n"), &variables.collect());
        if ended.code == 0 {
            fs::create_dir_all(self.fake.path().join("artifacts")).unwrap();
            for file in job["artifacts"]["paths"].as_array().into_iter().flatten() {
                let file = file.as_str().unwrap();
                let kept = self.project.folder.path().join(file);
                fs::copy(kept, self.fake.path().join("artifacts").join(file)).unwrap();
            }
        }
        ended
    }

    fn edit(&self, change: impl FnOnce(String) -> String) {
        let file = self.project.folder.path().join("outpost.toml");
        let text = fs::read_to_string(&file).unwrap();
        fs::write(file, change(text)).unwrap();
    }

    fn desire(&self, version: &str) {
        self.edit(|text| {
            let lines = text
                .lines()
                .map(|line| match line.starts_with("version = ") {
                    true => format!("version = \"{version}\"\n"),
                    false => format!("{line}\n"),
                });
            lines.collect()
        });
    }

    /// Signs a kept plan as a reviewer does, and gives the signature.
    fn sign(&self, plan: &str) -> String {
        let keys = tempfile::TempDir::new().unwrap();
        let key = keys.path().join("key");
        let plan = self.fake.path().join("artifacts").join(plan);
        let ssh_keygen = |arguments: &[&str], file: &Path| {
            let output = Command::new("ssh-keygen")
                .args(arguments)
                .arg(file)
                .output();
            let output = output.unwrap();
            assert!(output.status.success(), "{output:?}");
        };
        ssh_keygen(&["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"], &key);
        let shown = key.display().to_string();
        ssh_keygen(
            &["-q", "-Y", "sign", "-n", "outpost-plan", "-f", &shown],
            &plan,
        );
        let public = fs::read_to_string(key.with_extension("pub")).unwrap();
        let list = self.project.folder.path().join("signers");
        fs::write(list, format!("alice@example.com {public}")).unwrap();
        let beside = plan.with_extension("bin.sig");
        let signature = fs::read_to_string(&beside).unwrap();
        fs::remove_file(beside).unwrap();
        signature
    }

    /// The story that both services tell. `plan` and `apply` run their jobs, `merged` is what the service says
    /// about the commit's pull request, and `comment` how it keeps a comment of somebody else's.
    fn story(
        &self,
        plan: impl Fn() -> Job,
        apply: impl Fn() -> Job,
        artifact: &str,
        update: &str,
        merged: Value,
        comment: impl Fn(&str) -> Value,
    ) {
        self.desire("1");
        plan().exits(0, "");
        assert_eq!(self.comments().len(), 2, "one more");
        assert_eq!((self.calls("POST"), self.calls(update)), (1, 0));
        let first = self.comments()[1]["body"].clone();

        // A newer push: the same comment, the plan as it is now.
        self.desire("3");
        plan().exits(0, "");
        assert_eq!(self.comments().len(), 2, "not one more");
        assert_eq!((self.calls("POST"), self.calls(update)), (1, 1));
        let kept = self.fake.path().join("artifacts").join(artifact);
        let kept = kept.to_str().unwrap();
        let shown = self
            .project
            .expect(0, &["migrate", "show", "--format", "json", kept]);
        let shown: Value = serde_json::from_str(&shown).unwrap();
        let digest = shown["digest"].as_str().unwrap();
        let second = self.comments()[1]["body"].clone();
        assert_ne!(first, second);
        assert!(second.as_str().unwrap().contains(digest), "{second}");

        // Merged without a review of any plan.
        apply().exits(1, "nobody reviewed a plan");
        self.keep("pulls.json", &merged);

        // Another plan in the place of the one that was reviewed.
        let reviewed = fs::read(kept).unwrap();
        self.project
            .expect(0, &["migrate", "plan", "--to", "2", "-out", kept]);
        apply().exits(1, "the plan has digest");
        fs::write(kept, reviewed).unwrap();
        self.project
            .expect(3, &["migrate", "list", "--exit-code", "--to", "1"]);

        // Meanwhile somebody applied something else.
        self.project
            .expect(0, &["migrate", "apply", "--yes", "--to", "1"]);
        apply().exits(4, "the plan is stale");
        self.project
            .expect(3, &["migrate", "list", "--exit-code", "--to", "2"]);
        plan().exits(0, "");

        // From here on plans have to be signed. A reviewer puts the signature into a comment.
        self.edit(|text| {
            format!("{text}\n[signing]\nallowed_signers = \"signers\"\nrequired = true\n")
        });
        let signature = self.sign(artifact);
        apply().exits(7, "is not applied: it is not signed");
        let mut comments = self.comments();
        comments.extend(["Looks good", &signature.replace('\n', "\r\n")].map(&comment));
        self.keep("comments.json", &Value::from(comments));
        apply().exits(0, "Signed by alice@example.com");
        self.project.expect(0, &["serve", "--", "true"]);
        let history = self.project.expect(0, &["migrate", "history"]);
        assert!(history.contains("alice@example.com"), "{history}");
    }
}

fn recipe(file: &str) -> Value {
    let text = fs::read_to_string(examples().join(file)).unwrap();
    serde_saphyr::from_str(&text).unwrap_or_else(|e| panic!("{file}: {e}"))
}

/// What somebody else would write to have another plan applied.
const FORGED: &str = "<!-- outpost-plan sha256:0000 -->\nAll is well.";

#[test]
fn github_shows_one_comment_and_applies_the_reviewed_plan_or_nothing() {
    let comment = |body: &str| json!({ "id": 1, "user": { "login": "mallory" }, "body": body });
    let service = Service::new(
        &[
            ("GITHUB_REPOSITORY", "acme/shop"),
            ("GITHUB_SHA", "merge-commit"),
        ],
        comment(FORGED),
    );
    service.story(
        || service.github("plan"),
        || service.github("apply"),
        "outpost-plan/plan.bin",
        "PATCH",
        json!([{ "number": 7, "head": { "sha": "last-commit" } }]),
        comment,
    );
    assert!(service.calls("run list --workflow plan.yml --commit last-commit") > 0);
    let page = service.fake.path().join("artifacts/outpost-plan/plan.html");
    assert!(
        fs::read_to_string(page)
            .unwrap()
            .starts_with("<!doctype html>")
    );
}

#[test]
fn gitlab_shows_one_note_and_applies_the_reviewed_plan_or_nothing() {
    let comment = |body: &str| json!({ "id": 1, "author": { "id": 6 }, "body": body });
    let service = Service::new(
        &[
            ("CI_API_V4_URL", "https://gitlab.test/api/v4"),
            ("CI_PROJECT_ID", "3"),
            ("CI_MERGE_REQUEST_IID", "7"),
            ("CI_COMMIT_SHA", "merge-commit"),
            ("PLAN_TOKEN", "a token"),
        ],
        comment(FORGED),
    );
    service.story(
        || service.gitlab("plan"),
        || service.gitlab("apply"),
        "plan.bin",
        "PUT",
        json!([{ "iid": 9, "state": "closed" }, { "iid": 7, "state": "merged" }]),
        comment,
    );
}
