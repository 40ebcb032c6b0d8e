-- KEYS: keys. ARGV: 3 whether the server knows times to live of fields, 4 number of steps, then for each step
-- its kind ('set', 'unix_ms' or 'unix_s'), its number of fields and those; then for each key the values that
-- the 'set' steps give it. Steps have no field in common.
-- For each key a letter for each step: Written, Done, Gone, or Odd, which is not for a script to decide.
local KEYS, ARGV, pcall, format = KEYS, ARGV, redis.pcall, string.format
local steps, fields, at = {}, {}, 5
local values = 0
for s = 1, tonumber(ARGV[4]) do
  local step = {kind = ARGV[at], before = #fields, count = tonumber(ARGV[at + 1])}
  for f = 1, step.count do fields[#fields + 1] = ARGV[at + 1 + f] end
  if step.kind == 'set' then values = values + step.count end
  at = at + 2 + step.count
  steps[s] = step
end
local wanted = #fields
local pairs, used = {}, 0

local function set(step, found, from)
  local answer = 'D'
  for f = step.before + 1, step.before + step.count do
    if not found[f] then
      pairs[used + 1], pairs[used + 2] = fields[f], ARGV[from + f - step.before]
      used = used + 2
      answer = 'W'
    end
  end
  return answer
end

local function convert(step, found)
  local began = used
  for f = step.before + 1, step.before + step.count do
    local value = found[f]
    if not value then
    elseif not find(value, '^[1-9]%d*$') then
      local ms = unix_ms(value)
      if not ms then
        used = began
        return 'O'
      end
      if step.kind == 'unix_s' then ms = floor(ms / 1000) end
      pairs[used + 1], pairs[used + 2] = fields[f], format('%d', ms)
      used = used + 2
    elseif #value > 15 then
      return 'O'
    end
  end
  return used > began and 'W' or 'D'
end

local answers = {}
local first, second, third = fields[1], fields[2], fields[3]
for k = FIRST, #KEYS do
  local key = KEYS[k]
  local found
  if wanted == 1 then
    found = pcall('HMGET', key, first)
  elseif wanted == 2 then
    found = pcall('HMGET', key, first, second)
  elseif wanted == 3 then
    found = pcall('HMGET', key, first, second, third)
  else
    found = pcall('HMGET', key, unpack(fields))
  end
  local answer
  local any = found[1] or found[2] or found[3]
  for f = 4, wanted do any = any or found[f] end
  if found.err then
    answer = string.rep('O', #steps)
  elseif not any and redis.call('EXISTS', key) == 0 then
    answer = string.rep('G', #steps)
  else
    local from = at - 1
    used = 0
    for s = 1, #steps do
      local step = steps[s]
      local letter
      if step.kind == 'set' then
        letter = set(step, found, from)
        from = from + step.count
      else
        letter = convert(step, found)
      end
      answer = answer and answer .. letter or letter
    end
    if used > 0 then put(key, pairs, used) end
  end
  answers[k - FIRST + 1] = answer
  at = at + values
end
return answers
