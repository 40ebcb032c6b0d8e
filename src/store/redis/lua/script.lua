-- KEYS: keys. ARGV: 3 type or nothing, 4 the check, 5 which text (script, undo or cleanup), 6 that text,
-- 7 number of arguments of a key, 8... the arguments.
-- The text gets the keys that are there, of the right type and for which the check asks for work; to undo or
-- clean up, those for which it asks for none. Then the check is asked again.
local size = tonumber(ARGV[7])
local answers, seen, there = {}, {}, batch(size)
for k = FIRST, #KEYS do
  local kind = redis.call('TYPE', KEYS[k]).ok
  local answer = 'done'
  if kind == 'none' then
    answer = 'gone'
  elseif ARGV[3] ~= '' and kind ~= ARGV[3] then
    answer = 'refused'
  elseif not seen[KEYS[k]] then
    seen[KEYS[k]] = true
    add(there, KEYS[k], k - FIRST + 1, 7 + (k - FIRST) * size)
  end
  answers[#answers + 1] = answer
end
local needs, wrong = ask('check', ARGV[4], there)
if not needs then return wrong end
local chosen = batch(size)
for i = 1, #there.keys do
  local at = there.at[i]
  if needs[i] == (ARGV[5] == 'script') then add(chosen, there.keys[i], at, 7 + (at - 1) * size) end
end
if #chosen.keys == 0 then return answers end
if ARGV[5] == 'cleanup' then
  local removed, wrong = ask('cleanup', ARGV[6], chosen)
  if not removed then return wrong end
  for i = 1, #chosen.keys do
    if removed[i] then answers[chosen.at[i]] = 'written' end
  end
  return answers
end
local ran, wrong = run(ARGV[5], ARGV[6], chosen)
if not ran then return wrong end
local left = batch(size)
for i = 1, #chosen.keys do
  local at = chosen.at[i]
  answers[at] = 'written'
  if redis.call('EXISTS', chosen.keys[i]) == 1 then add(left, chosen.keys[i], at, 7 + (at - 1) * size) end
end
local after, wrong = ask('check', ARGV[4], left)
if not after then return wrong end
for i = 1, #left.keys do
  if after[i] and ARGV[5] == 'script' then
    answers[left.at[i]] = 'undone'
  elseif not after[i] and ARGV[5] == 'undo' then
    -- The key was as it should be without the script, so there was nothing to take back.
    answers[left.at[i]] = 'done'
  end
end
return answers
