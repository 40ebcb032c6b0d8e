-- KEYS: source, target and bucket of each key. Deletes a target that equals its source.
local answers = {}
for k = FIRST, #KEYS, 3 do
  local answer = 'kept'
  if redis.call('EXISTS', KEYS[k + 1]) == 0 then
    answer = 'done'
  elseif equal(KEYS[k], KEYS[k + 1]) then
    redis.call('UNLINK', KEYS[k + 1])
    answer = 'written'
  end
  answers[#answers + 1] = answer
end
return answers
