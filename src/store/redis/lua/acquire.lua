-- KEYS: 1 token, 2 and 3 locks, 4 ledger. ARGV: 1 lock value, 2 how it begins, 3 life in ms, 4 a uuid.
-- Answers {1, token}, or {0, lock, value, ms to live} of the lock that somebody holds.
local again = false
for i = 2, 3 do
  local value = redis.call('GET', KEYS[i])
  if value then
    -- A repeated request whose first answer was lost.
    if string.sub(value, 1, #ARGV[2]) ~= ARGV[2] then
      return {0, KEYS[i], value, redis.call('PTTL', KEYS[i])}
    end
    again = true
  end
end
redis.call('HSETNX', KEYS[4], 'uuid', ARGV[4])
redis.call('HSETNX', KEYS[4], 'format', '1')
local token = again and tonumber(redis.call('GET', KEYS[1])) or redis.call('INCR', KEYS[1])
for i = 2, 3 do
  redis.call('SET', KEYS[i], ARGV[1], 'PX', ARGV[3])
end
return {1, token}
