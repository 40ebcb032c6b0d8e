-- KEYS: 4... source, target and bucket of each key. ARGV: 3... their digests.
-- Deletes a source that was recorded as copied, or whose target equals it.
local answers = {}
for k = 4, #KEYS, 3 do
  local answer = 'kept'
  if redis.call('EXISTS', KEYS[k]) == 0 then
    answer = 'gone'
  elseif redis.call('HGET', KEYS[k + 2], ARGV[2 + (k - 1) / 3]) == 'c' or equal(KEYS[k], KEYS[k + 1]) then
    redis.call('UNLINK', KEYS[k])
    answer = 'written'
  end
  answers[#answers + 1] = answer
end
return answers
