#![allow(clippy::unwrap_used, clippy::expect_used)]
use super::*;
use proptest::prelude::*;

#[test]
fn postgres_addresses_show_everything_but_the_password() {
    for (text, shown) in [
        (
            "postgres://outpost:pw@db.internal/app",
            "postgres at db.internal:5432, database app, user outpost",
        ),
        ("postgresql://db:6000", "postgres at db:6000"),
        (
            "postgres://u@[::1]:6000/d",
            "postgres at [::1]:6000, database d, user u",
        ),
        (
            "postgres://u@[::1]/d",
            "postgres at [::1]:5432, database d, user u",
        ),
        ("postgres://a:1,b/d", "postgres at a:1, b:5432, database d"),
        (
            "postgres://%2Frun%2Fpg/d%20e",
            "postgres at /run/pg:5432, database d e",
        ),
        (
            "postgres:///d?host=/run/pg&user=u&password=pw",
            "postgres at /run/pg:5432, database d, user u",
        ),
        (
            "postgres://u:p%40w@h/d?sslmode=require",
            "postgres at h:5432, database d, user u",
        ),
        (
            "postgres://u%1b[2J@h/d",
            "postgres at h:5432, database d, user u\\u{1b}[2J",
        ),
        (
            "host=h port=6000 dbname=d user=u password='p w'",
            "postgres at h:6000, database d, user u",
        ),
        ("host=a,b port=1,2 password=pw", "postgres at a:1, b:2"),
        (
            "hostaddr=10.0.0.1 options='x://y' password=pw",
            "postgres at 10.0.0.1:5432",
        ),
        (
            "postgres://db:6000/d?hostaddr=10.0.0.1",
            "postgres at db:6000, database d",
        ),
        (
            "host=db hostaddr=10.0.0.1 dbname=d",
            "postgres at db:5432, database d",
        ),
    ] {
        let endpoint = postgres(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(endpoint.address.to_string(), shown, "{text}");
        assert_eq!(endpoint.url.expose(), text);
        assert!(!format!("{endpoint:?}").contains("pw"));
    }
}

#[test]
fn redis_addresses_show_everything_but_the_password() {
    for (text, shown, tls) in [
        ("redis://cache", "redis at cache:6379, database 0", false),
        (
            "redis://cache:7000/",
            "redis at cache:7000, database 0",
            false,
        ),
        (
            "rediss://u:pw@cache/3?protocol=resp3",
            "redis at cache:6379, database 3, user u",
            true,
        ),
        (
            "redis://:pw@[::1]:7000/2",
            "redis at [::1]:7000, database 2",
            false,
        ),
        (
            "redis://maybe-a-password@cache",
            "redis at cache:6379, database 0",
            false,
        ),
        (
            "unix:///run/redis.sock?db=2&user=u&pass=pw",
            "redis at /run/redis.sock, database 2, user u",
            false,
        ),
        (
            "redis+unix:///run/redis.sock",
            "redis at /run/redis.sock, database 0",
            false,
        ),
    ] {
        let node = redis(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(node.endpoint.address.to_string(), shown, "{text}");
        assert_eq!(node.tls, tls, "{text}");
        assert!(!format!("{:?}", node.endpoint).contains("pw"));
    }
}

#[test]
fn c16_bad_addresses_are_refused_without_a_word_of_them() {
    let pg: fn(&str) -> Option<AddressProblem> = |text| postgres(text).err();
    let rd: fn(&str) -> Option<AddressProblem> = |text| redis(text).err();
    let pg_scheme = AddressProblem::Scheme("postgres:// or postgresql://");
    let rd_scheme = AddressProblem::Scheme("redis://, rediss://, redis+unix:// or unix://");
    for (read, text, problem) in [
        (pg, "mysql://u:pwpw@h/d", pg_scheme),
        (pg, "pwpw", AddressProblem::Keywords),
        (pg, "host=h password='pwpw", AddressProblem::Keywords),
        (pg, "user=u password=pwpw", AddressProblem::NoHost),
        (pg, "host=h port=pwpw", AddressProblem::Port),
        (pg, "postgres:///pwpw", AddressProblem::NoHost),
        (pg, "postgres://:5432/pwpw", AddressProblem::NoHost),
        (pg, "postgres://u:pw@pw@h/d", AddressProblem::Ambiguous),
        (pg, "postgres://u:pw/pw@h/d", AddressProblem::Ambiguous),
        (pg, "postgres://u:pw#pw@h/d", AddressProblem::Ambiguous),
        (pg, "postgres://u:pwpw", AddressProblem::Port),
        (pg, "postgres://h:0/pwpw", AddressProblem::Port),
        (pg, "postgres://h:/pwpw", AddressProblem::Port),
        (pg, "postgres://[::1]pwpw/d", AddressProblem::Port),
        (pg, "postgres://u:pwpw@h/d\n", AddressProblem::WhiteSpace),
        (rd, "cache:6379", rd_scheme),
        (rd, "http://pwpw@h", rd_scheme),
        (rd, "redis://", AddressProblem::NoHost),
        (rd, "redis://:pwpw@", AddressProblem::NoHost),
        (rd, "redis://:pw/pw@h", AddressProblem::Ambiguous),
        (rd, "redis://u:pwpw", AddressProblem::Port),
        (rd, "redis://pw<pw", AddressProblem::Url),
        (rd, "redis://h/pwpw", AddressProblem::Database),
        (rd, "redis://h/+1", AddressProblem::Database),
        (rd, "redis://h/99999999999", AddressProblem::Database),
        (rd, "redis://h?db=3", AddressProblem::Parameter),
        (rd, "unix:///s?database=3", AddressProblem::Parameter),
        (rd, "unix://h/s", AddressProblem::NoHost),
    ] {
        assert_eq!(read(text), Some(problem), "{text}");
        assert!(!problem.to_string().contains("pwpw"));
        assert!(!problem.hint().is_empty());
    }
}

#[test]
fn u16_verification_cannot_be_turned_off_by_the_url() {
    assert_eq!(
        redis("rediss://h/#insecure").err(),
        Some(AddressProblem::Fragment)
    );
}

proptest! {
    #[test]
    fn c16_whatever_is_accepted_never_shows_its_password(
        password in "[zqZQ0-9%@:/?#.=& ']{4,12}",
        form in 0..5_usize,
    ) {
        let text = match form {
            0 => format!("postgres://u:{password}@h:5432/d"),
            1 => format!("postgres://h/d?user=u&password={password}"),
            2 => format!("host=h user=u password={password}"),
            3 => format!("redis://u:{password}@h:6379/1"),
            _ => format!("unix:///s?pass={password}"),
        };
        // Only the letters can be told from the rest of the address.
        let letters = |text: &str| text.chars().any(|c| "zqZQ".contains(c));
        let (shown, debug) = if form < 3 {
            match postgres(&text) {
                Ok(endpoint) => (endpoint.address.to_string(), format!("{endpoint:?}")),
                Err(problem) => {
                    prop_assert!(!problem.to_string().contains(&password));
                    return Ok(());
                }
            }
        } else {
            match redis(&text) {
                Ok(node) => (node.endpoint.address.to_string(), format!("{:?}", node.endpoint)),
                Err(problem) => {
                    prop_assert!(!problem.to_string().contains(&password));
                    return Ok(());
                }
            }
        };
        if form == 0 || form == 3 {
            let from_host = shown.replace("postgres", "");
            prop_assert!(!letters(&from_host), "{} from {}", shown, text);
        }
        if letters(&password) {
            prop_assert!(!shown.contains(&password) && !debug.contains(&password));
        }
    }

    #[test]
    fn no_text_panics(text in "(postgres://|redis://|unix://|host=)?(?s).*") {
        let _ = postgres(&text);
        let _ = redis(&text);
    }
}
