-- Before every write on a cluster: the fence in the slot of the keys holds our token. It is there as long
-- as the lease, and only for who holds it.
-- KEYS: 1 the fence of the slot. ARGV: 1 our token, 2 nothing.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return redis.error_reply('NOFENCE the fence of this slot is not ours')
end
local FIRST = 2
