-- KEYS: keys. ARGV: 3 ms to live, or nothing to live for ever.
local answers = {}
for k = FIRST, #KEYS do
  local left = redis.call('PTTL', KEYS[k])
  local answer = 'done'
  if left == -2 then
    answer = 'gone'
  elseif ARGV[3] == '' then
    if redis.call('PERSIST', KEYS[k]) == 1 then answer = 'written' end
  elseif left == -1 or left > tonumber(ARGV[3]) then
    redis.call('PEXPIRE', KEYS[k], ARGV[3])
    answer = 'written'
  end
  answers[#answers + 1] = answer
end
return answers
