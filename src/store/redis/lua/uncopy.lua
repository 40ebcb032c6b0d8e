-- KEYS: source, target and bucket of each key. ARGV: 3... their digests.
-- Deletes a target that equals its source, and the record of that copy: what is left of the record is what is left
-- of the copies, should nobody come to the end of this.
local answers = {}
local at = 3
for k = FIRST, #KEYS, 3 do
  local answer = 'kept'
  if redis.call('EXISTS', KEYS[k + 1]) == 0 then
    answer = 'done'
  elseif equal(KEYS[k], KEYS[k + 1]) then
    redis.call('UNLINK', KEYS[k + 1])
    redis.call('SREM', KEYS[k + 2], ARGV[at], '-' .. ARGV[at])
    answer = 'written'
  end
  answers[#answers + 1] = answer
  at = at + 1
end
return answers
