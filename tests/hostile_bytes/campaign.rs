//! Runs a target over its corpus and over what is made from it, within limits of memory and time that the
//! kernel keeps.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Once;

use nix::sys::resource::{Resource, setrlimit};

use crate::mutate::{Random, mutate};

/// Memory that this process may ask for. A length that is believed without a look at how much is there
/// ends it.
const MEMORY: u64 = 512 * 1024 * 1024;
/// Iterations of each target, unless `OUTPOST_FUZZ_RUNS` says another number.
const RUNS: usize = 1500;

/// Whatever is read from outside.
pub struct Target {
    pub name: &'static str,
    /// Most bytes of a changed case: enough to nest deeply, and for SQL little enough that the parser, whose
    /// time grows with the square of what it cannot read, comes through.
    pub longest: usize,
    /// How much longer a case takes than others: it gets so many times fewer of them.
    pub costs: usize,
    /// Real files that it reads, by their ending, besides its corpus.
    pub endings: &'static [&'static str],
    /// Words of its language.
    pub words: &'static [&'static str],
    pub read: fn(&[u8]),
}

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |text| text.parse().expect(variable))
}

/// The seed of a campaign.
pub fn seed() -> u64 {
    number("OUTPOST_FUZZ_SEED", 1)
}

/// How many cases each target gets.
pub fn runs() -> usize {
    usize::try_from(number("OUTPOST_FUZZ_RUNS", RUNS as u64)).unwrap()
}

pub fn limit() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        setrlimit(Resource::RLIMIT_DATA, MEMORY, MEMORY).expect("a limit of memory");
        // Of the processor, not of the clock: a loop without an end is ended, a busy machine harms nobody.
        let seconds = 120 + u64::try_from(runs()).unwrap() / 5;
        setrlimit(Resource::RLIMIT_CPU, seconds, seconds).expect("a limit of time");
    });
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files below a folder, in order.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.expect("an entry").path();
            match path.is_dir() {
                true => folders.push(path),
                false => found.push(path),
            }
        }
    }
    found.sort();
    found
}

/// The target's corpus, and the repository's own files of its kind.
pub fn seeds(target: &Target) -> Vec<Vec<u8>> {
    let corpus = files(&root().join("tests/corpus").join(target.name));
    let mut paths = corpus.clone();
    for folder in ["schema", "examples", "tests/fixtures", "outpost.toml"] {
        let folder = root().join(folder);
        let all = if folder.is_file() {
            vec![folder]
        } else {
            files(&folder)
        };
        paths.extend(all.into_iter().filter(|path| {
            let name = path.to_string_lossy();
            target.endings.iter().any(|ending| name.ends_with(ending))
        }));
    }
    assert!(!corpus.is_empty(), "tests/corpus/{} is empty", target.name);
    paths
        .iter()
        .map(|path| fs::read(path).expect("a seed"))
        .collect()
}

/// Reads every seed, and then as many changed ones as the campaign asks for.
pub fn run(target: &Target, seeds: &[Vec<u8>]) {
    limit();
    for seed in seeds {
        read(target, seed);
    }
    let fits = |seed: &&Vec<u8>| seed.len() <= target.longest;
    let seeds: Vec<Vec<u8>> = seeds.iter().filter(fits).cloned().collect();
    let mut random = Random::new(seed());
    for _ in 0..runs().div_ceil(target.costs) {
        read(
            target,
            &mutate(&seeds, target.words, target.longest, &mut random),
        );
    }
}

/// One case. It is written down first: no panic handler sees a stack that overflows, or memory that ends.
fn read(target: &Target, bytes: &[u8]) {
    let case = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("hostile-{}", target.name));
    fs::write(&case, bytes).expect("the case");
    if catch_unwind(AssertUnwindSafe(|| (target.read)(bytes))).is_err() {
        let kept = root().join("tests/corpus").join(target.name);
        panic!("copy {} to {} and mend it", case.display(), kept.display());
    }
}
