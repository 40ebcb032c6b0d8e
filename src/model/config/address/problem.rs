//! Why the address of a store cannot be used.

use thiserror::Error;

/// Why an address cannot be used. Holds no part of it: any part might be a misplaced password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AddressProblem {
    /// Another scheme, or none.
    #[error("it must start with {0}")]
    Scheme(&'static str),
    /// White space or a control character.
    #[error("it holds white space or a control character, perhaps a newline at its end")]
    WhiteSpace,
    /// More than one `@`, or a delimiter before it.
    #[error("it holds an `@`, `/`, `?` or `#` that could belong to the password")]
    Ambiguous,
    /// No host.
    #[error("it names no host")]
    NoHost,
    /// A port that is no number up to 65535.
    #[error("its port is not a number from 1 to 65535")]
    Port,
    /// A logical database that is no number.
    #[error("its database is not a number")]
    Database,
    /// A parameter that the driver would silently ignore.
    #[error("it has a parameter that is not understood")]
    Parameter,
    /// `#insecure` and other fragments.
    #[error("it has a `#` part")]
    Fragment,
    /// Not a URL for other reasons.
    #[error("it is not a valid URL")]
    Url,
    /// A list of keywords that cannot be read.
    #[error("it is neither a URL nor a list such as `host=db user=app dbname=app`")]
    Keywords,
}

impl AddressProblem {
    /// What to do next.
    pub fn hint(self) -> String {
        match self {
            Self::Scheme(_) | Self::Url | Self::Keywords => {
                "write it as in postgres://user@host:5432/database or redis://host:6379/0"
            }
            Self::WhiteSpace => "remove it, or percent-encode it: a space is %20",
            Self::Ambiguous => {
                "percent-encode the password: `@` is %40, `/` is %2F, `?` is %3F, `#` is %23"
            }
            Self::NoHost => "name the host, or the folder of the socket as in ?host=/run/postgresql",
            Self::Port => "write host:port; an IPv6 address goes into brackets; percent-encode the password",
            Self::Database => "write the logical database as a number, as in redis://host:6379/3",
            Self::Parameter => {
                "Redis takes ?protocol=, and on a Unix socket db=, user= and pass=; otherwise the database is the path, as in redis://host:6379/3"
            }
            Self::Fragment => {
                "percent-encode `#` as %23; `#insecure` is not taken: TLS is always verified, and `ca` names an authority of your own"
            }
        }
        .to_owned()
    }
}
