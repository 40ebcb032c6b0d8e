//! `schema/versions.toml`: which migrations make up which version.

use std::collections::{BTreeMap, BTreeSet};

use super::document::{Document, ShapeError, Table, printable};
use super::id::MigrationId;
use super::nearest::nearest;

mod error;

pub use error::{VersionsError, VersionsProblem};

/// The version that is always there: every migration of the catalog.
pub const LATEST: &str = "latest";

/// The versions that a schema declares, in file order. A version is a set of ids, never "up to N".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versions {
    file: Option<String>,
    list: Vec<Version>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Version {
    name: String,
    line: u32,
    extends: Option<(String, u32)>,
    add: Vec<(MigrationId, u32)>,
}

impl Versions {
    /// What holds without a file: `latest` is the only version.
    pub fn single_latest() -> Self {
        Self {
            file: None,
            list: Vec::new(),
        }
    }

    /// Parses the file's text; `file` is its name in errors.
    ///
    /// # Errors
    /// [`VersionsError`] for malformed TOML, unknown keys, two versions of one name, an id that is added
    /// twice on the way from a version to its base, a missing base, and a circle of bases.
    pub fn parse(file: &str, text: &str) -> Result<Self, VersionsError> {
        let read = || {
            let document = Document::parse(text)?;
            let root = document.root();
            root.allow_only(&["version"])?;
            let mut list: Vec<Version> = Vec::new();
            for table in root.tables("version")? {
                let version = read_version(&table)?;
                if let Some(first) = list.iter().find(|v| v.name == version.name) {
                    let problem = VersionsProblem::DuplicateVersion {
                        version: version.name,
                        first_line: first.line,
                    };
                    return Err(Located::at(version.line, problem));
                }
                list.push(version);
            }
            Ok(list)
        };
        let versions = Self {
            file: Some(file.to_owned()),
            list: read().map_err(|located| located.in_file(file))?,
        };
        for version in &versions.list {
            versions.check_chain(version).map_err(|l| l.in_file(file))?;
        }
        Ok(versions)
    }

    /// The names of the declared versions, in file order, without `latest`.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.list.iter().map(|version| version.name.as_str())
    }

    /// The ids that make up a version. `latest` is all of `catalog_ids`.
    ///
    /// # Errors
    /// [`VersionsProblem::UnknownVersion`] with the known ones.
    pub fn resolve(
        &self,
        name: &str,
        catalog_ids: &BTreeSet<MigrationId>,
    ) -> Result<BTreeSet<MigrationId>, VersionsError> {
        if name == LATEST {
            return Ok(catalog_ids.clone());
        }
        match self.find(name) {
            Some(version) => Ok(self.full_set(version)),
            None => Err(VersionsError {
                file: self.file.clone(),
                line: None,
                problem: Box::new(VersionsProblem::UnknownVersion {
                    version: printable(name),
                    nearest: nearest(name, self.names().chain([LATEST])),
                    known: self.names().chain([LATEST]).map(str::to_owned).collect(),
                }),
            }),
        }
    }

    /// Checks the file against the catalog. `requires` holds what each migration requires, by id.
    ///
    /// # Errors
    /// [`VersionsProblem::UnknownId`] for an id that no file has, and
    /// [`VersionsProblem::MissingRequirement`] for a version that leaves out what one of its migrations
    /// requires; the first in file order.
    pub fn validate(
        &self,
        catalog_ids: &BTreeSet<MigrationId>,
        requires: &BTreeMap<MigrationId, BTreeSet<MigrationId>>,
    ) -> Result<(), VersionsError> {
        for version in &self.list {
            self.validate_version(version, catalog_ids, requires)
                .map_err(|located| VersionsError {
                    file: self.file.clone(),
                    line: Some(located.line),
                    problem: located.problem,
                })?;
        }
        Ok(())
    }

    /// The first version, in file order, that adds this migration itself.
    pub fn declared_in(&self, id: &MigrationId) -> Option<&str> {
        self.list
            .iter()
            .find(|version| version.add.iter().any(|(added, _)| added == id))
            .map(|version| version.name.as_str())
    }

    fn find(&self, name: &str) -> Option<&Version> {
        self.list.iter().find(|version| version.name == name)
    }

    /// A version, its base, the base's base and so on. Ends, since `parse` refused circles.
    fn chain<'v>(&'v self, version: &'v Version) -> impl Iterator<Item = &'v Version> {
        std::iter::successors(Some(version), |current| {
            current
                .extends
                .as_ref()
                .and_then(|(base, _)| self.find(base))
        })
    }

    fn full_set(&self, version: &Version) -> BTreeSet<MigrationId> {
        self.chain(version)
            .flat_map(|version| version.add.iter().map(|(id, _)| id.clone()))
            .collect()
    }

    fn check_chain(&self, version: &Version) -> Result<(), Located> {
        let mut path: Vec<&Version> = vec![version];
        let mut current = version;
        while let Some((base, line)) = &current.extends {
            let Some(next) = self.find(base) else {
                let problem = VersionsProblem::MissingBase {
                    version: current.name.clone(),
                    base: base.clone(),
                    nearest: nearest(base, self.names().filter(|name| *name != current.name)),
                };
                return Err(Located::at(*line, problem));
            };
            if let Some(start) = path.iter().position(|seen| seen.name == next.name) {
                let mut cycle: Vec<String> = path[start..].iter().map(|v| v.name.clone()).collect();
                cycle.push(next.name.clone());
                return Err(Located::at(*line, VersionsProblem::Cycle { cycle }));
            }
            path.push(next);
            current = next;
        }
        let mut added: BTreeMap<&MigrationId, (&str, u32)> = BTreeMap::new();
        for version in path.iter().rev() {
            for (id, line) in &version.add {
                if let Some((first_version, first_line)) = added.insert(id, (&version.name, *line))
                {
                    let problem = VersionsProblem::DuplicateId {
                        id: id.clone(),
                        version: version.name.clone(),
                        first_version: first_version.to_owned(),
                        first_line,
                    };
                    return Err(Located::at(*line, problem));
                }
            }
        }
        Ok(())
    }

    fn validate_version(
        &self,
        version: &Version,
        catalog_ids: &BTreeSet<MigrationId>,
        requires: &BTreeMap<MigrationId, BTreeSet<MigrationId>>,
    ) -> Result<(), Located> {
        let full = self.full_set(version);
        for (id, line) in &version.add {
            if !catalog_ids.contains(id) {
                let problem = VersionsProblem::UnknownId {
                    id: id.clone(),
                    version: version.name.clone(),
                    nearest: nearest(&id.to_string(), catalog_ids.iter().map(ToString::to_string)),
                };
                return Err(Located::at(*line, problem));
            }
            let needed = requires.get(id).into_iter().flatten();
            if let Some(missing) = needed.into_iter().find(|needed| !full.contains(needed)) {
                let problem = VersionsProblem::MissingRequirement {
                    id: id.clone(),
                    version: version.name.clone(),
                    requirement: missing.clone(),
                };
                return Err(Located::at(*line, problem));
            }
        }
        Ok(())
    }
}

fn read_version(table: &Table<'_>) -> Result<Version, Located> {
    table.allow_only(&["name", "extends", "add"])?;
    let name = table.required_string("name")?;
    if name.raw == LATEST {
        return Err(Located::at(name.line, VersionsProblem::Reserved));
    }
    if name.raw.is_empty()
        || name
            .raw
            .chars()
            .any(|c| c.is_control() || c.is_whitespace())
    {
        let version = printable(&name.raw);
        return Err(Located::at(name.line, VersionsProblem::BadName { version }));
    }
    let mut add = Vec::new();
    for text in table.strings("add")?.unwrap_or_default() {
        let id = text
            .raw
            .parse::<MigrationId>()
            .map_err(|error| Located::at(text.line, VersionsProblem::BadId(error)))?;
        add.push((id, text.line));
    }
    Ok(Version {
        line: name.line,
        name: name.raw,
        extends: table.string("extends")?.map(|base| (base.raw, base.line)),
        add,
    })
}

struct Located {
    line: u32,
    problem: Box<VersionsProblem>,
}

impl Located {
    fn at(line: u32, problem: VersionsProblem) -> Self {
        Self {
            line,
            problem: Box::new(problem),
        }
    }

    fn in_file(self, file: &str) -> VersionsError {
        VersionsError {
            file: Some(file.to_owned()),
            line: Some(self.line),
            problem: self.problem,
        }
    }
}

impl From<ShapeError> for Located {
    fn from(error: ShapeError) -> Self {
        Self::at(error.line, VersionsProblem::Shape(error.problem))
    }
}

#[cfg(test)]
mod tests;
