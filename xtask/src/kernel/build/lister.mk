# Prints what a build of this configuration makes. See plan.rs.
MAKEFLAGS += -rR
-include $(objtree)/include/config/auto.conf

# As in scripts/Kbuild.include and scripts/Makefile.lib: the parts of multi-part objects.
suffix-search = $(foreach s,$3,$($(1:%$(strip $2)=%$s)))
parts = $(strip $(call suffix-search,$1,.o,-objs -y -m))

# Some architectures name files by it; their own Makefiles set it.
BITS := $(if $(CONFIG_64BIT),64,32)

# Compiler tests have no part in what is listed.
cc-option =
cc-disable-warning =
ld-option =
as-instr =

kbuild-file = $(firstword $(wildcard $(srctree)/$1/Kbuild $(srctree)/$1/Makefile))
# Forgets what one folder said, so that the next one starts with nothing.
forget = $(foreach v,$(filter %-y %-m %-objs %- %-dtbs,$(.VARIABLES)),$(eval undefine $v))
print = $(info $1 $(patsubst ./%,%,$2))
# A multi-part object counts by its parts, which may be multi-part themselves.
object = $(if $(call parts,$2),$(foreach p,$(filter %.o,$(call parts,$2)),$(call single,$1,$p)),$(call single,$1,$2))
single = $(call print,CC,$(if $(filter $1,.),,$1/)$2)

define visit
obj := $1
src := $(srctree)/$1
$(call forget)
include $(call kbuild-file,$1)
endef

# The folders below come back as a list, since reading them overwrites every variable.
below = $(sort $(patsubst %/,%,$(filter %/,$(obj-y) $(obj-m) $(lib-y) $(lib-m))))
walk = $(if $(call kbuild-file,$1),$(eval $(call visit,$1))\
  $(foreach o,$(sort $(filter %.o,$(obj-y) $(obj-m) $(lib-y))),$(call object,$1,$o))\
  $(foreach d,$(call below),$(call walk,$(if $(filter $1,.),$d,$1/$d))))

trees = $(if $(call kbuild-file,$1),$(eval $(call visit,$1))\
  $(foreach t,$(sort $(dtb-y) $(if $(CONFIG_OF_ALL_DTBS),$(dtb-))),$(if $($(t:.dtb=-dtbs)),$(foreach p,$($(t:.dtb=-dtbs)),$(call print,DTC,$1/$p)),$(call print,DTC,$1/$t)))\
  $(foreach d,$(sort $(subdir-y) $(subdir-m)),$(call trees,$1/$d)))

.PHONY: lockstep-list
lockstep-list:
	@:
_ := $(call walk,.)
# `libs-y` and `ARCH_LIB` of the top Makefile and of most architectures'.
_ := $(foreach d,lib arch/$(SRCARCH)/lib,$(if $(call kbuild-file,$d),$(call walk,$d)))
$(if $(dts),$(call trees,$(dts)))
