-- ARGV: names and texts of Lua. Answers an error for the first that is no Lua; runs none.
for i = 1, #ARGV, 2 do
  local chunk, wrong = loadstring('local KEYS, ARGV = ... ' .. ARGV[i + 1], '=' .. ARGV[i])
  if not chunk then return failure(ARGV[i], wrong) end
end
return 1
