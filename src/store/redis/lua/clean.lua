-- KEYS: source, target and bucket of each key. ARGV: 3... their digests.
-- Deletes a source that was recorded as copied, or whose target equals it.
local function was_copied(bucket, digest)
  return redis.call('SISMEMBER', bucket, digest) == 1 and redis.call('SISMEMBER', bucket, '-' .. digest) == 0
end
local answers = {}
local at = 3
for k = FIRST, #KEYS, 3 do
  local answer = 'kept'
  if redis.call('EXISTS', KEYS[k]) == 0 then
    answer = 'gone'
  elseif was_copied(KEYS[k + 2], ARGV[at]) or equal(KEYS[k], KEYS[k + 1]) then
    redis.call('UNLINK', KEYS[k])
    answer = 'written'
  end
  answers[#answers + 1] = answer
  at = at + 1
end
return answers
