-- ARGV: 3... a command.
return redis.call(unpack(ARGV, 3))
