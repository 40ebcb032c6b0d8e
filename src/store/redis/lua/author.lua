-- Lua of the author's. It runs as a function that sees a batch of keys and their arguments, nothing of ours,
-- and its errors come back with a code that tells them from those of this script.
local PASSING = {OOM = 1, MISCONF = 1, READONLY = 1, NOREPLICAS = 1, MASTERDOWN = 1, CLUSTERDOWN = 1, NOPERM = 1}
local function plain(text)
  local shown = string.gsub(string.sub(text, 1, 400), '[%c\127-\255]', function(byte)
    return string.format('\\x%02x', string.byte(byte))
  end)
  return shown
end
local function failure(name, wrong)
  if type(wrong) == 'table' then wrong = wrong.err end
  wrong = tostring(wrong)
  -- What the server cannot or may not do is no fault of the text; before Redis 7 the code is inside.
  local code = string.match(wrong, '^(%u+) ') or string.match(wrong, '%-(%u+) ')
  if PASSING[code] or string.find(wrong, 'user executing the script', 1, true) then
    return redis.error_reply(wrong)
  end
  return redis.error_reply('AUTHORLUA its `' .. name .. '` failed: ' .. plain(wrong))
end
local function batch(size)
  return {keys = {}, args = {}, at = {}, size = size}
end
-- Adds a key, whose arguments begin behind `from`.
local function add(to, key, at, from)
  to.keys[#to.keys + 1] = key
  to.at[#to.at + 1] = at
  for i = 1, to.size do to.args[#to.args + 1] = ARGV[from + i] end
end
-- Runs a text over copies, since it may change what it gets. Answers what it answers, or nil and an error.
local function run(name, text, of)
  local chunk, wrong = loadstring('local KEYS, ARGV = ... ' .. text, '=' .. name)
  if not chunk then return nil, failure(name, wrong) end
  local keys, args = {}, {}
  for i = 1, #of.keys do keys[i] = of.keys[i] end
  for i = 1, #of.args do args[i] = of.args[i] end
  local fine, answer = pcall(chunk, keys, args)
  if not fine then return nil, failure(name, answer) end
  return {answer}
end
-- Runs a text that answers a list of 1 or 0, or true or false, one for each key.
local function ask(name, text, of)
  if #of.keys == 0 then return {} end
  local answer, wrong = run(name, text, of)
  if not answer then return nil, wrong end
  local list, said = answer[1], {}
  if type(list) ~= 'table' then
    return nil, redis.error_reply('AUTHORLUA its `' .. name .. '` answered a ' .. type(list)
      .. ', not a list of 1 or 0 for each key')
  end
  for i = 1, #of.keys do
    local one = list[i]
    if one == 1 or one == true then
      said[i] = true
    elseif one == 0 or one == false then
      said[i] = false
    else
      return nil, redis.error_reply('AUTHORLUA its `' .. name .. '` answered ' .. plain(tostring(one)) .. ' for '
        .. plain(of.keys[i]) .. ', not 1 or 0')
    end
  end
  if #list > #of.keys then
    return nil, redis.error_reply('AUTHORLUA its `' .. name .. '` answered ' .. #list .. ' entries for '
      .. #of.keys .. ' keys')
  end
  return said
end
