//! Plan files on disk: whole or not at all, and for their owner alone.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use outpost::model::codec::CodecError;
use outpost::model::plan::Plan;
use outpost::plan_file::{PlanFileError, read, write};

use crate::folder::{self, Project, State};

fn plan_of(folder: &str) -> Plan {
    folder::sealed(Project::new(folder).plan_latest(&State::empty()).unwrap())
}

fn plan() -> Plan {
    plan_of("sql/0001_a sql/0002_b redis/0001_x")
}

fn names_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Tests below run this one again in a process of its own, with another path and with limits.
const PATH: &str = "OUTPOST_TEST_PLAN_FILE";
const WRITES: &str = "plan_file::a_plan_is_written_and_read_back";

#[test]
fn a_plan_is_written_and_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = match std::env::var_os(PATH) {
        Some(path) => PathBuf::from(path),
        None => folder.path().join("plan.bin"),
    };
    write(&path, &plan()).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(read(&path).unwrap(), plan());
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

/// Runs `setup` in a shell and then the test above, with `path`.
fn write_in_a_shell(setup: &str, path: &Path) -> Output {
    Command::new("sh")
        .arg("-c")
        .arg(format!("{setup}; exec \"$0\" --exact {WRITES} --nocapture"))
        .arg(std::env::current_exe().unwrap())
        .env(PATH, path)
        .output()
        .unwrap()
}

#[test]
fn the_mode_does_not_depend_on_the_umask_or_on_an_older_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plan.bin");
    fs::write(&path, "old").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    let output = write_in_a_shell("umask 000", &path);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(read(&path).unwrap(), plan());
    assert_eq!(names_in(folder.path()), ["plan.bin"]);
}

#[test]
fn a_file_that_cannot_be_written_whole_leaves_the_older_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plan.bin");
    let older = plan_of("sql/0001_older");
    write(&path, &older).unwrap();
    let size = plan().encode().unwrap().len();
    assert!(size > 512, "more than the block that is allowed below");

    // Files may have one block: the write fails half way, as on a full disk.
    let output = write_in_a_shell("trap '' XFSZ; ulimit -f 1", &path);
    assert!(!output.status.success());
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(words.contains("cannot write"), "{words}");
    assert_eq!(read(&path).unwrap(), older);
    assert_eq!(
        names_in(folder.path()),
        ["plan.bin"],
        "nothing is left over"
    );

    // The same, killed in the middle of the write.
    let output = write_in_a_shell("ulimit -c 0; ulimit -f 1", &path);
    assert!(!output.status.success());
    assert_eq!(read(&path).unwrap(), older);
}

#[test]
fn a_full_device_is_an_error_and_stays_a_device() {
    let error = write(Path::new("/dev/full"), &plan()).unwrap_err();
    let PlanFileError::Io {
        doing: "write",
        source,
        ..
    } = &error
    else {
        panic!("{error}");
    };
    assert_eq!(source.kind(), std::io::ErrorKind::StorageFull);
    let kind = fs::metadata("/dev/full").unwrap().file_type();
    assert!(kind.is_char_device());
}

#[test]
fn a_pipe_is_written_to_and_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pipe");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let received = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut bytes = Vec::new();
            fs::File::open(&path)
                .unwrap()
                .read_to_end(&mut bytes)
                .unwrap();
            bytes
        });
        write(&path, &plan()).unwrap();
        reader.join().unwrap()
    });
    assert_eq!(Plan::decode(&received).unwrap(), plan());
    assert!(fs::metadata(&path).unwrap().file_type().is_fifo());
}

#[test]
fn a_link_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    let real = folder.path().join("real.bin");
    let link = folder.path().join("link.bin");
    fs::write(&real, "old").unwrap();
    symlink(&real, &link).unwrap();
    write(&link, &plan()).unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(read(&real).unwrap(), plan());
}

#[test]
fn a_folder_is_no_plan_file() {
    let folder = tempfile::tempdir().unwrap();
    for result in [read(folder.path()).map(drop), write(folder.path(), &plan())] {
        let error = result.unwrap_err();
        assert!(matches!(&error, PlanFileError::Folder(path) if path == folder.path()));
        assert!(error.to_string().contains("is a folder"));
    }
    assert!(names_in(folder.path()).is_empty());
}

#[test]
fn what_cannot_be_read_is_named_with_the_systems_words() {
    let folder = tempfile::tempdir().unwrap();
    let endless = folder.path().join("loop");
    symlink(&endless, &endless).unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    for path in [
        folder.path().join("missing"),
        endless,
        file.join("below"),
        // It can be opened by its owner, and no byte of its beginning can be read.
        PathBuf::from("/proc/self/mem"),
    ] {
        let error = read(&path).unwrap_err();
        assert!(
            matches!(&error, PlanFileError::Io { doing: "read", path: found, .. } if *found == path),
            "{error}"
        );
        assert!(error.to_string().contains(&path.display().to_string()));
        assert!(error.hint().is_some());
    }
}

#[test]
fn where_nothing_can_be_created_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "kept").unwrap();
    for path in [
        folder.path().join("missing").join("plan.bin"),
        file.join("plan.bin"),
        PathBuf::from("/proc/plan.bin"),
    ] {
        let error = write(&path, &plan()).unwrap_err();
        assert!(
            matches!(&error, PlanFileError::Io { doing: "write", .. }),
            "{error}"
        );
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "kept");
}

#[test]
fn what_is_no_plan_is_refused_with_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plan.bin");
    let whole = plan().encode().unwrap();
    for (bytes, expected) in [
        (Vec::new(), CodecError::Empty),
        (b"terraform".to_vec(), CodecError::NotAPlan),
        (
            [whole.clone(), vec![0]].concat(),
            CodecError::TrailingBytes { extra: 1 },
        ),
    ] {
        fs::write(&path, bytes).unwrap();
        let error = read(&path).unwrap_err();
        assert!(
            matches!(&error, PlanFileError::Content { source, .. } if *source == expected),
            "{error}"
        );
        assert!(error.to_string().starts_with(&path.display().to_string()));
    }
}
