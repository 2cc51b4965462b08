//! Reading settings one by one, and remembering everything that is wrong with them.

use std::{collections::HashMap, ffi::OsString, path::Path};

use config::{Config, Environment, File, FileFormat};

use crate::variables::VARIABLES;

/// What is wrong with the configuration, all of it. The text never holds a value of a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the configuration has {}:{}", count(.problems), list(.problems))]
pub struct ConfigurationError {
    problems: Vec<String>,
}

impl ConfigurationError {
    /// Each problem, beginning with the name of the setting.
    pub fn problems(&self) -> &[String] {
        &self.problems
    }
}

fn count(problems: &[String]) -> String {
    if problems.len() == 1 { "a problem".to_owned() } else { format!("{} problems", problems.len()) }
}

fn list(problems: &[String]) -> String {
    problems.iter().flat_map(|problem| ["\n  ", problem]).collect()
}

/// The environment and the optional file, with the problems found in them so far.
#[derive(Debug)]
pub struct Reader {
    config: Config,
    problems: Vec<String>,
    warnings: Vec<String>,
}

impl Reader {
    /// Reads the process's environment and the file that `VOXANNE_CONFIG` names.
    pub fn from_environment() -> Self {
        Self::new(std::env::vars_os())
    }

    /// Reads the given variables as if they were the environment.
    pub fn new(environment: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let mut problems = Vec::new();
        let mut known = HashMap::new();
        for (name, value) in environment {
            let Some(variable) = VARIABLES.iter().find(|variable| name == variable.name) else { continue };
            match value.into_string() {
                // Compose files and unit files often set a variable to nothing when they mean not to set it.
                Ok(value) if value.trim().is_empty() => {}
                Ok(value) => drop(known.insert(variable.name.to_owned(), value)),
                Err(_) => problems.push(format!("{}: is not UTF-8", variable.name)),
            }
        }
        let file = known.get("VOXANNE_CONFIG").map(|path| load(path, &mut problems)).unwrap_or_default();
        let layered = Config::builder()
            .add_source(file)
            .add_source(Environment::default().source(Some(known)).try_parsing(false))
            .build();
        let config = layered.unwrap_or_else(|error| {
            problems.push(error.to_string());
            Config::default()
        });
        Self { config, problems, warnings: Vec::new() }
    }

    /// The setting as `parse` reads it; none when it is not set. A malformed one is noted as a problem and is `None`
    /// as well: what is wrong shows in [`Reader::finish`].
    pub(crate) fn optional<T>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        debug_assert!(VARIABLES.iter().any(|variable| variable.name == name), "{name} is not in the table");
        let key = name.to_ascii_lowercase();
        let text = match self.config.get_string(&key) {
            Ok(text) => text,
            Err(config::ConfigError::NotFound(_)) => return None,
            Err(_) => {
                self.problem(name, "must be one value");
                return None;
            }
        };
        match parse(text.trim()) {
            Ok(value) => Some(value),
            Err(rule) => {
                self.problem(name, &rule);
                None
            }
        }
    }

    /// Like [`Reader::optional`], and a problem when it is not set.
    pub(crate) fn required<T>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        if !self.has(name) {
            let meaning =
                VARIABLES.iter().find(|variable| variable.name == name).map_or("", |found| found.meaning);
            self.problems.push(format!("{name} is missing: {meaning}"));
            return None;
        }
        self.optional(name, parse)
    }

    /// Like [`Reader::optional`], with a value for when it is not set. After a malformed one it is `None`.
    pub(crate) fn or<T>(
        &mut self,
        name: &str,
        default: T,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        if self.has(name) { self.optional(name, parse) } else { Some(default) }
    }

    /// Whether the setting is there at all.
    pub(crate) fn has(&self, name: &str) -> bool {
        !matches!(self.config.get_string(&name.to_ascii_lowercase()), Err(config::ConfigError::NotFound(_)))
    }

    /// Notes that a setting breaks a rule; once, however many sections read it.
    pub(crate) fn problem(&mut self, name: &str, rule: &str) {
        let problem = format!("{name}: {rule}");
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    /// Notes that a setting has no effect, which is no reason not to start.
    pub(crate) fn warning(&mut self, name: &str, why: &str) {
        let warning = format!("{name}: {why}");
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    /// Whether `key` is there with everything that it needs beside it. With a part of that it has no effect: what
    /// hangs on it is not configured, and a warning names what is missing.
    pub(crate) fn has_whole(&mut self, key: &'static str, others: &[&'static str]) -> bool {
        if !self.has(key) {
            return false;
        }
        let missing: Vec<_> = others.iter().copied().filter(|other| !self.has(other)).collect();
        if !missing.is_empty() {
            self.warning(key, &format!("has no effect without {}", missing.join(" and ")));
        }
        missing.is_empty()
    }

    /// What was noted that is no reason not to start, each beginning with the name of the setting.
    pub(crate) fn take_warnings(&mut self) -> Vec<String> {
        std::mem::take(&mut self.warnings)
    }

    /// The settings, if they are complete and nothing was wrong.
    ///
    /// # Errors
    /// [`ConfigurationError`] with every problem met so far.
    pub(crate) fn finish<T>(self, settings: Option<T>) -> Result<T, ConfigurationError> {
        match settings {
            Some(settings) if self.problems.is_empty() => Ok(settings),
            _ => Err(ConfigurationError { problems: self.problems }),
        }
    }
}

/// The file's settings, with problems for a file that cannot be read and for names that do not exist.
fn load(path: &str, problems: &mut Vec<String>) -> Config {
    let file = Config::builder().add_source(File::from(Path::new(path)).format(FileFormat::Toml)).build();
    let file = match file {
        Ok(file) => file,
        Err(error) => {
            problems.push(format!("VOXANNE_CONFIG: {error}"));
            return Config::default();
        }
    };
    let table = file.cache.clone().into_table().unwrap_or_default();
    let mut unknown: Vec<&String> = table
        .keys()
        .filter(|key| !VARIABLES.iter().any(|variable| variable.name.to_ascii_lowercase() == **key))
        .collect();
    unknown.sort_unstable();
    problems
        .extend(unknown.iter().map(|key| format!("VOXANNE_CONFIG: {path} sets {key}, which does not exist")));
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(variables: &[(&str, &str)]) -> Reader {
        Reader::new(variables.iter().map(|(name, value)| (name.into(), value.into())))
    }

    fn text(value: &str) -> Result<String, String> {
        value.parse().map_err(|never: std::convert::Infallible| match never {})
    }

    #[test]
    fn the_environment_wins_over_the_file() {
        let file = tempfile::NamedTempFile::with_suffix(".conf").unwrap();
        std::fs::write(file.path(), "port = 1\nmetrics_port = 2\n").unwrap();
        let mut reader = reader(&[("VOXANNE_CONFIG", file.path().to_str().unwrap()), ("PORT", "3")]);
        assert_eq!(reader.optional("PORT", text).as_deref(), Some("3"));
        assert_eq!(reader.optional("METRICS_PORT", text).as_deref(), Some("2"));
        assert_eq!(reader.finish(Some(())), Ok(()));
    }

    #[test]
    fn a_file_that_sets_what_does_not_exist_is_a_problem() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "databse_url = 'x'\n").unwrap();
        let error =
            reader(&[("VOXANNE_CONFIG", file.path().to_str().unwrap())]).finish(Some(())).unwrap_err();
        assert!(error.to_string().contains("sets databse_url, which does not exist"), "{error}");
    }

    #[test]
    fn a_missing_or_broken_file_is_a_problem_and_no_panic() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "port = = 1").unwrap();
        for path in ["/nowhere/voxanne.toml", file.path().to_str().unwrap()] {
            let error = reader(&[("VOXANNE_CONFIG", path)]).finish(Some(())).unwrap_err();
            assert!(error.problems()[0].starts_with("VOXANNE_CONFIG: "), "{error}");
        }
    }

    #[test]
    fn a_list_where_one_value_belongs_is_a_problem() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "port = [1, 2]").unwrap();
        let mut reader = reader(&[("VOXANNE_CONFIG", file.path().to_str().unwrap())]);
        assert_eq!(reader.or("PORT", String::new(), text), None);
        assert_eq!(reader.finish(Some(())).unwrap_err().problems(), ["PORT: must be one value"]);
    }

    #[test]
    fn every_problem_is_in_the_one_message() {
        let mut reader = reader(&[("PORT", "many")]);
        reader.required("DATABASE_URL", text);
        reader.optional("PORT", |value| value.parse::<u16>().map_err(|_| "must be a number".to_owned()));
        let message = reader.finish::<()>(None).unwrap_err().to_string();
        assert!(message.starts_with("the configuration has 2 problems:"), "{message}");
        assert!(
            message.contains("DATABASE_URL is missing") && message.contains("PORT: must be a number"),
            "{message}"
        );
    }

    #[test]
    fn a_variable_set_to_nothing_is_not_set() {
        assert_eq!(reader(&[("PORT", " ")]).optional("PORT", text), None);
    }

    #[test]
    fn a_value_that_is_not_utf_8_is_named() {
        use std::os::unix::ffi::OsStringExt as _;
        let reader = Reader::new([(OsString::from("PORT"), OsString::from_vec(vec![0xff]))]);
        assert_eq!(reader.finish(Some(())).unwrap_err().problems(), ["PORT: is not UTF-8"]);
    }
}
