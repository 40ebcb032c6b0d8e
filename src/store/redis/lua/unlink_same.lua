-- KEYS: a key. ARGV: 3 what DUMP gave when it was read. Deletes it where it still is the same.
local answer = 'kept'
local dump = redis.call('DUMP', KEYS[FIRST])
if not dump then
  answer = 'gone'
elseif dump == ARGV[3] then
  redis.call('UNLINK', KEYS[FIRST])
  answer = 'written'
end
return {answer}
