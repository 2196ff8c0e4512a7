// Browsers start no Worker from a page that was opened from the disk. There the site's search runs in
// a hidden frame of the same origin in place of one: messages go in and out as with a Worker.
"use strict";

if (location.protocol === "file:") {
  class IFrameWorker extends EventTarget {
    constructor(url) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      document.body.append(frame);
      this.inside = frame.contentWindow;
      this.inside.postMessage = (data) =>
        this.dispatchEvent(new MessageEvent("message", { data }));
      this.ready = new Promise((resolve, reject) => {
        const script = frame.contentDocument.createElement("script");
        script.src = url;
        script.onload = resolve;
        script.onerror = () => reject(new Error(`${url} can't be loaded`));
        frame.contentDocument.body.append(script);
      });
      this.ready.catch((error) => this.dispatchEvent(new ErrorEvent("error", { error })));
    }

    postMessage(data) {
      this.ready.then(() => this.inside.dispatchEvent(new MessageEvent("message", { data })));
    }

    terminate() {
      this.inside.frameElement.remove();
    }
  }
  window.IFrameWorker = IFrameWorker; // the theme's worker asks for it by this name
  window.Worker = IFrameWorker;
}
