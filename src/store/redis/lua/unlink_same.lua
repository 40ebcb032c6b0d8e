-- KEYS: a key, and the bucket that records it where it is a copy. ARGV: 3 what DUMP gave when it was read, 4 the copy's
-- digest. Deletes it where it still is the same, and its record.
local answer = 'kept'
local dump = redis.call('DUMP', KEYS[FIRST])
if not dump then
  answer = 'gone'
elseif dump == ARGV[3] then
  redis.call('UNLINK', KEYS[FIRST])
  if KEYS[FIRST + 1] then redis.call('SREM', KEYS[FIRST + 1], ARGV[4], '-' .. ARGV[4]) end
  answer = 'written'
end
return {answer}
