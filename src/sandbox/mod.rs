//! Throwaway Postgres and Redis servers.
