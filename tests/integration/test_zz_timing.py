import time, gc
import pytest
import lazygrad as lg
from integration.test_resnet18 import *
def test_zz(monkeypatch):
    from lazygrad_opencl.device import OpenCLDevice
    from lazygrad_opencl.source import generate
    from lazygrad.runtime import device
    for variant in ("plain","sync","sync+freeze"):
        images, labels = lg.rand(32, 3, 64, 64), lg.randint(0, 1000, (32,))
        lg.realize(images, labels)
        sources=[]
        model = resnet18()
        optimizer = lg.optim.SGD(model.parameters(), lr=1e-2, momentum=0.9)
        model.eval()(images); model.train()
        def only(self, kernels):
            sources.extend(generate(k, self.capabilities) for k in dict.fromkeys(kernels)); raise Generated
        with monkeypatch.context() as m:
            m.setattr(OpenCLDevice, "compile", only)
            if "sync" in variant: device("opencl:0").synchronize()
            if "freeze" in variant: gc.collect(); gc.freeze()
            t=time.process_time(); th=time.thread_time()
            lg.nn.functional.cross_entropy(model(images), labels).backward()
            with pytest.raises(Generated): optimizer.step()
            print(variant, "process %.3f thread %.3f"%(time.process_time()-t, time.thread_time()-th), len(sources))
