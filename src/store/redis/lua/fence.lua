-- Before every write: the fencing token is ours, and both lock keys still hold our lease.
-- KEYS: 1 the token, 2 and 3 the locks. ARGV: 1 our token, 2 how the value of our locks begins.
local function ours(lock)
  local value = redis.call('GET', lock)
  return value and string.sub(value, 1, #ARGV[2]) == ARGV[2]
end
if redis.call('GET', KEYS[1]) ~= ARGV[1] or not ours(KEYS[2]) or not ours(KEYS[3]) then
  return redis.error_reply('LEASELOST the lease is not held any more')
end
local FIRST = 4
