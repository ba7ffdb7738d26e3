# Stages one image's build context. The same program gives the same bytes.
#
#   <stage_dir>/<name>/Dockerfile
#                      root/      the programs without debug information, the libraries they need, the dynamic loader
#                      writable/  the folders that belong to the image's user
#                      debug/     a static busybox, for the Dockerfile's `debug` target only
#   <stage_dir>/debug/.build-id/  debug information by build id: gdb -iex 'set debug-file-directory <stage_dir>/debug'
#
# Set by the caller: name programs stage_dir files objcopy readelf

set(context ${stage_dir}/${name})
set(root ${context}/root)

function(run ret_output)
  execute_process(COMMAND ${ARGN} OUTPUT_VARIABLE output COMMAND_ERROR_IS_FATAL ANY)
  set(${ret_output} "${output}" PARENT_SCOPE)
endfunction()

# Copies a file under the name it is loaded by; a link's name with its target's bytes.
function(copy_as source path)
  get_filename_component(folder ${root}${path} DIRECTORY)
  file(REAL_PATH ${source} real)
  file(COPY ${real} DESTINATION ${folder} NO_SOURCE_PERMISSIONS
       FILE_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
  get_filename_component(real_name ${real} NAME)
  if(NOT ${folder}/${real_name} STREQUAL ${root}${path})
    file(RENAME ${folder}/${real_name} ${root}${path})
  endif()
endfunction()

function(stage_libraries program)
  run(output ldd ${program})
  if(output MATCHES "([^\n\t ]+) => not found")
    message(FATAL_ERROR "${program} needs ${CMAKE_MATCH_1}, which is not installed")
  endif()
  string(REGEX MATCHALL "/[^ \n]+ \\(0x" matches "${output}")
  foreach(match ${matches})
    string(REPLACE " (0x" "" library ${match})
    copy_as(${library} ${library})
  endforeach()
endfunction()

function(stage_program program)
  get_filename_component(file ${program} NAME)
  copy_as(${program} /usr/bin/${file})
  run(notes ${readelf} --notes ${program})
  if(NOT notes MATCHES "Build ID: ([0-9a-f][0-9a-f])([0-9a-f]+)")
    message(FATAL_ERROR "${program} has no build id")
  endif()
  set(debug ${stage_dir}/debug/.build-id/${CMAKE_MATCH_1})
  file(MAKE_DIRECTORY ${debug})
  run(ignored ${objcopy} --only-keep-debug ${program} ${debug}/${CMAKE_MATCH_2}.debug)
  run(ignored ${objcopy} --strip-debug --strip-unneeded ${root}/usr/bin/${file})
endfunction()

function(stage_busybox)
  find_program(BUSYBOX busybox PATHS /usr/bin /bin NO_DEFAULT_PATH REQUIRED)
  file(MAKE_DIRECTORY ${context}/debug/bin)
  file(COPY ${BUSYBOX} DESTINATION ${context}/debug/bin)
  run(applets ${BUSYBOX} --list)
  string(REGEX MATCHALL "[a-z0-9][^\n]*" applets "${applets}") # without [ and [[, which are syntax to CMake
  foreach(applet ${applets})
    if(NOT applet STREQUAL busybox)
      file(CREATE_LINK busybox ${context}/debug/bin/${applet} SYMBOLIC)
    endif()
  endforeach()
endfunction()

file(REMOVE_RECURSE ${context})
foreach(program ${programs})
  stage_program(${program})
  stage_libraries(${program})
endforeach()
file(MAKE_DIRECTORY ${root}/etc ${root}/tmp ${context}/writable/data ${context}/writable/cores
     ${context}/writable/keys)
file(WRITE ${root}/etc/passwd "seatrial:x:10001:10001::/cores:/bin/sh\n")
stage_busybox()
file(COPY ${files} DESTINATION ${context})
run(ignored chmod -R u=rwX,go=rX ${context}) # whatever the umask
run(ignored chmod 1777 ${root}/tmp)
